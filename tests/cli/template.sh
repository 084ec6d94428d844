# SPDX-License-Identifier: LGPL-2.1-or-later
# A plan that was printed as a layer config gives the same plan again
. "$LIB"
need_target nvfp4-comfy
need_target fp8-comfy
need_target int8-comfy
need_format gguf
only_families flux1 t5 wan
make_family flux1 tiny flux.safetensors
make_family flux1 tiny diffusers.safetensors --naming diffusers
make_family wan tiny-t2v wan.gguf --format gguf --type q8_0
make_family t5 tiny t5.safetensors
make_model unknown.safetensors --prefix model.diffusion_model.
"$QCONV" --to fp8-comfy flux.safetensors packed.safetensors >log || exit 1

# same TARGET MODEL [option...]: compares the plan with the plan of its template
same ()
{
  target=$1 model=$2
  shift 2
  "$QCONV" --to "$target" --dry-run "$@" "$model" out >plan 2>log || cat log
  "$QCONV" --to "$target" --dry-run --template "$@" "$model" out >layers.json 2>log
  "$QCONV" --to "$target" --dry-run --layer-config layers.json "$model" out >again 2>log || cat log
  # All columns except the rule
  awk 'NF > 4 { $3 = ""; print }' plan >plan.cut
  awk 'NF > 4 { $3 = ""; print }' again >again.cut
  cmp plan.cut again.cut && echo "$target $model $*: $(grep -c '"match"' layers.json) rows, $(wc -l <plan) lines"
  [ "$(tail -n 1 plan)" = "$(tail -n 1 again)" ] || echo "the sizes differ"
}

for target in nvfp4-comfy fp8-comfy int8-comfy; do
  for model in *.safetensors *.gguf; do
    same $target $model
  done
done
same nvfp4-comfy flux.safetensors --layers fp8,dtype=e5m2:img_attn --keep txt_mlp
same nvfp4-comfy flux.safetensors --only 'img_(mlp|in)'
same nvfp4-comfy wan.gguf --fallback fp8
same nvfp4-comfy flux.safetensors --skip-inefficient
"$QCONV" --to nvfp4-comfy --dry-run --template --layers fp8,dtype=e5m2:1.img_attn flux.safetensors |
  grep -A 5 '1..\.img_attn..\.qkv'
run --to nvfp4-comfy --template flux.safetensors
run inspect --template flux.safetensors
rm -f log plan again layers.json plan.cut again.cut
list
