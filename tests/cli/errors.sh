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
# What checksums show of the header must not get new checksums: the type of a tensor, the checksums, metadata
"$QCONV" --to copy-safetensors in.safetensors plain.safetensors >/dev/null
"$QCONV" edit --force plain.safetensors summed.safetensors --metadata title=abc >/dev/null
sed 's/"dtype":"BF16"/"dtype": "F16"/' summed.safetensors >typed.safetensors
sed 's/crc32:/brc32:/' summed.safetensors >unsummed.safetensors
sed 's/"title":"abc"/"title":"abd"/' summed.safetensors >titled.safetensors
for file in typed unsummed titled; do
  run verify $file.safetensors
  run --to copy-safetensors --dry-run $file.safetensors out.safetensors
  run edit --dry-run $file.safetensors out.safetensors --metadata format=pt
done
# Of a set of shards, the metadata of one count
mkdir shards
cp summed.safetensors shards/model-00001-of-00002.safetensors
make_model --layers 1 --prefix other. other.safetensors
"$QCONV" --to copy-safetensors other.safetensors shards/model-00002-of-00002.safetensors >/dev/null
run verify shards
rm -r shards plain.safetensors other.safetensors summed.safetensors typed.safetensors unsummed.safetensors titled.safetensors
[ "$before" = "$(cksum *.safetensors *.pt)" ] && echo "nothing was changed"
list
