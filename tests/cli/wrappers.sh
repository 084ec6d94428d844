# SPDX-License-Identifier: LGPL-2.1-or-later
# Names that training software wraps or prefixes, in whole or in part
. "$LIB"
need_target nvfp4-comfy
need_target fp8-comfy

# list_names FILE WORD: prints names of the tensors of FILE that hold WORD
list_names ()
{
  "$QCONV" inspect --all "$1" | awk -v w="$2" 'index ($1, w) { print $1 }' | sort -u
}

echo "== modules that were compiled one by one"
make_family z_image tiny bare.safetensors
"$QCONV" --to nvfp4-comfy bare.safetensors bare.out >/dev/null
make_family z_image tiny wrapped.safetensors
rename_tensors 's/"layers\.\([0-9]*\)\./"layers.\1._orig_mod./g' wrapped.safetensors
run --to nvfp4-comfy wrapped.safetensors out.safetensors | grep '^[$!=]'
list_names out.safetensors _orig_mod
cmp bare.out out.safetensors && echo "the same bytes as without wrappers"
run verify out.safetensors --against wrapped.safetensors | grep -e '^[$!=]' -e problems
run --to bf16-safetensors --names keep --force wrapped.safetensors out.safetensors | grep '^[$!=]'
list_names out.safetensors layers.0._orig_mod.attention_norm1
run edit out.safetensors --metadata modelspec.title=b | grep '^[$!=]'
list_names out.safetensors layers.0._orig_mod.attention_norm1
run --to copy-safetensors --force wrapped.safetensors out.safetensors | grep '^[$!=]'
list_names out.safetensors layers.0._orig_mod.attention_norm1

echo "== wrappers within wrappers"
make_family z_image tiny wrapped.safetensors
rename_tensors 's/"\([^"]*\)":{"dtype"/"module._orig_mod.diffusion_model.\1":{"dtype"/g; s/layers\.\([0-9]*\)\./layers.\1._checkpoint_wrapped_module./g' \
  wrapped.safetensors
run --to nvfp4-comfy --force wrapped.safetensors out.safetensors | grep '^[$!=]'
list_names out.safetensors cap_embedder.1.w
rm bare.out wrapped.safetensors

echo "== a start that most names share"
mkdir parts
make_family z_image tiny --prefix=my.trainer. parts/model-00001-of-00002.safetensors
"$MAKE_MODEL" --layers 2 --rows 256 --cols 256 --prefix optimizer. parts/model-00002-of-00002.safetensors >/dev/null
run --to nvfp4-comfy --force parts out.safetensors | grep '^[$!=]'
list_names out.safetensors cap_embedder.1.w
list_names out.safetensors optimizer
rm -r parts

echo "== weights that loaders probe, in a model of no known family"
make_model unknown.safetensors
rename_tensors 's/"layers\.1\.weight"/"a.trainer.img_in.weight"/; s/"layers\.2\.weight"/"layers.2.img_in.weight"/' unknown.safetensors
run --to nvfp4-comfy --only . --dry-run unknown.safetensors | grep -e img_in -e '^[$!=]'

echo "== nothing but an averaged copy"
"$MAKE_MODEL" --layers 2 --rows 64 --cols 64 --prefix model_ema. ema.safetensors >/dev/null
run --to bf16-safetensors --force ema.safetensors out.safetensors | grep '^[$!=]'
list_names out.safetensors model_ema
list
