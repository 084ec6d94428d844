# SPDX-License-Identifier: LGPL-2.1-or-later
# Models that lack tensors, and models with names that no loader knows
. "$LIB"
"$MAKE_MODEL" --family=wan --variant=tiny-t2v whole.safetensors >/dev/null
run --to bf16-safetensors --drop '^blocks\.1\.self_attn\.q$' whole.safetensors hole.safetensors | grep '^[$!=]'

run --to nvfp4-comfy hole.safetensors out.safetensors | grep '^[$!=]'
run --to f16-safetensors hole.safetensors plain.safetensors | grep '^[$!=]'
run --to nvfp4-comfy --allow-incomplete hole.safetensors out.safetensors | grep '^[$!=]'
run verify hole.safetensors
run --to nvfp4-comfy --drop '^blocks\.1\.self_attn\.q$' whole.safetensors dropped.safetensors | grep '^[$!=]'
list
