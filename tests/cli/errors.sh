# SPDX-License-Identifier: LGPL-2.1-or-later
# The cause of an error decides the exit status; no file is left behind
. "$LIB"
make_model in.safetensors
head -c 100000 in.safetensors >cut.safetensors
printf '\200\002ctorch\nFloatStorage\n' >model.pt
printf 'PK\003\004\024\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\020\000\000\000archive/data.pkl\200\002' >zip.pt
: >empty.safetensors
echo "no model at all" >text.safetensors
mkdir folder
before=$(cksum *.safetensors *.pt)

for file in missing.safetensors model.pt zip.pt empty.safetensors text.safetensors cut.safetensors folder; do
  run inspect $file
  run --to bf16-safetensors $file out.safetensors
done
run verify missing.safetensors
run verify in.safetensors --against missing.safetensors
run --to bf16-safetensors in.safetensors no/such/folder.safetensors
run --to bf16-safetensors in.safetensors in.safetensors
run --to bf16-safetensors --force in.safetensors ./folder/../in.safetensors
run --to bf16-safetensors in.safetensors cut.safetensors
run --to bf16-safetensors in.safetensors /dev/stdout
# Files in memory lie below /dev too
if [ -w /dev/shm ]; then
  "$QCONV" --to bf16-safetensors in.safetensors "/dev/shm/qconv-$$.safetensors" >/dev/null || echo "/dev/shm is refused"
  rm -f "/dev/shm/qconv-$$.safetensors"
fi
# GLib words the reason
run --to bf16-safetensors --keep '(' in.safetensors out.safetensors | sed 's/Error while.*/REASON/'
run --to bf16-safetensors -o nonsense=1 in.safetensors out.safetensors
make_model --layers 1 --prefix "$(printf 'a\342\200\256b\342\200\250c.')" odd.safetensors
run inspect --all odd.safetensors
run verify --against in.safetensors odd.safetensors
rm odd.safetensors
[ "$before" = "$(cksum *.safetensors *.pt)" ] && echo "nothing was changed"
list
