# SPDX-License-Identifier: LGPL-2.1-or-later
# --split: sets of parts and shards, how they are planned, refused and read; test-several.c has the faults
. "$LIB"
need_format gguf
need_target nvfp4-comfy
only_families
make_model in.safetensors

echo "- shards"
run -q --to bf16-safetensors --split 512K --dry-run in.safetensors out.safetensors
list
run -q --to bf16-safetensors --split 512K --json --dry-run in.safetensors out.safetensors >plan
sed -n 's/.*\("output":.*\),"target".*/\1/p' plan
run -q --to bf16-safetensors --split 512K in.safetensors out.safetensors | without_times
cat out.safetensors.index.json
run verify out.safetensors.index.json
run -q --to bf16-safetensors --split 512K in.safetensors out.safetensors
rm out-00001-of-00002.safetensors out.safetensors.index.json
run -q --to bf16-safetensors --split 512K --dry-run in.safetensors out.safetensors | tail -1
run -q --to bf16-safetensors --split 512K --force in.safetensors out.safetensors | without_times
run -q --to bf16-safetensors --force --split 512K out.safetensors.index.json out.safetensors
run -q --to bf16-safetensors out-00002-of-00002.safetensors one.safetensors | without_times
run -q --to bf16-safetensors in.safetensors two.safetensors | without_times
cmp one.safetensors two.safetensors && echo "the same bytes as without shards"
run -q --to nvfp4-comfy --split 200K --no-checksums in.safetensors | without_times
run verify in-nvfp4-comfy-00002-of-00002.safetensors
list
rm -f ./*safetensors.index.json ./*-of-* one.* two.* plan

echo "- parts"
run -q --to q8_0-gguf --split 300K in.safetensors set.gguf | without_times
run verify set-00002-of-00002.gguf
run inspect set-00001-of-00002.gguf | head -4
run -q --to f32-safetensors set-00002-of-00002.gguf back.safetensors | without_times
run -q --to q8_0-gguf --split 1G in.safetensors whole.gguf | without_times
list

echo "- refused"
run -q --to q8_0-gguf --split much in.safetensors x.gguf
run edit --split 1G in.safetensors
run -q --to q8_0-gguf --split 300K --force set-00001-of-00002.gguf set.gguf
