# SPDX-License-Identifier: LGPL-2.1-or-later
# The first errors of new users: what they typed or downloaded is named, and what to do instead
. "$LIB"
need_target nvfp4-comfy
need_format gguf
make_model m.safetensors
echo "- targets"
for target in nvfp4 NVFP4-Comfy gguf fp8_scaled fp16 comfy something; do
  run --to $target m.safetensors
done
echo "- outputs"
run --to nvfp4-comfy m.safetensors -o out.safetensors
run --to nvfp4-comfy m.safetensors -o out
run --to nvfp4-comfy m.safetensors --output out.safetensors
run --to nvfp4-comfy m.safetensors --output=out.safetensors
run --to nvfp4-comfy --input m.safetensors
run --to nvfp4-comfy --input=m.safetensors out.safetensors
run --to nvfp4-comfy --in m.safetensors out.safetensors
run --to nvfp4-comfy m.safetensors /dev/stdout
run --to nvfp4-comfy m.safetensors -
run --to nvfp4-comfy m.safetensors missing/
run --to nvfp4-comfy m.safetensors out.gguf | grep '^[$!=]'
rm out.gguf
cp m.safetensors second.safetensors
run --to nvfp4-comfy m.safetensors second.safetensors
run --to nvfp4-comfy m.safetensors second.safetensors third.safetensors
echo "- words"
run help | head -3
run help inspect
run help nothing
run -V | sed 's/qconv [0-9].*/qconv VERSION/; s/CPU level: .*/CPU level: LEVEL/'
run -v --to nvfp4-comfy --dry-run m.safetensors | grep -e '!' -e =
run -q --to nvfp4-comfy m.safetensors quiet.safetensors | grep -e '!' -e '^='
echo "- files that are no models"
printf 'version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n' >lfs.safetensors
cp lfs.safetensors lfs.gguf
printf '\n<!DOCTYPE html>\n<html>' >page.safetensors
printf '{"error":"Repository not found"}' >error.safetensors
printf 'Entry not found\n' >text.gguf
printf '\200\002}q\000(X\006\000\000\000weightq' >pickle.safetensors
head -c 4096 /dev/zero >zeros.safetensors
printf 'PK\003\004\024\000\000\000' >zip.safetensors
: >empty.gguf
head -c 5000 m.safetensors >m.safetensors.part1of2
head -c 5000 m.safetensors >m.safetensors.001
head -c 5000 m.safetensors >m.safetensors.incomplete
for file in lfs.safetensors lfs.gguf page.safetensors error.safetensors text.gguf pickle.safetensors zeros.safetensors \
  zip.safetensors empty.gguf m.safetensors.part1of2 m.safetensors.001 m.safetensors.incomplete; do
  run inspect $file
done
list
