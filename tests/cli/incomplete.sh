# SPDX-License-Identifier: LGPL-2.1-or-later
# Models that lack tensors, and models with names that no loader knows
. "$LIB"
only_families clip_text flux1 sdxl t5 wan z_image
make_family wan tiny-t2v whole.safetensors --set ctx=256
run --to bf16-safetensors --drop '^blocks\.1\.self_attn\.q$' whole.safetensors hole.safetensors | grep '^[$!=]'

run --to nvfp4-comfy hole.safetensors out.safetensors | grep '^[$!=]'
run --to f16-safetensors hole.safetensors plain.safetensors | grep '^[$!=]'
run --to nvfp4-comfy --allow-incomplete hole.safetensors out.safetensors | grep '^[$!=]'
run verify hole.safetensors
run --to nvfp4-comfy --drop '^blocks\.1\.self_attn\.q$' whole.safetensors dropped.safetensors | grep '^[$!=]'
run verify dropped.safetensors | tail -2
run verify --allow-incomplete dropped.safetensors
list

echo "== a model without the tensors by which it is recognised"
run --to bf16-safetensors --drop '^head\.modulation$' whole.safetensors unseen.safetensors | grep '^[$!=]'
rm -f out.safetensors
run --to nvfp4-comfy unseen.safetensors out.safetensors | grep '^[$!=]'
run --to f16-safetensors unseen.safetensors out.safetensors | grep '^[$!=]'
run --to nvfp4-comfy --allow-incomplete --force unseen.safetensors out.safetensors | grep '^[$!=]'
run verify unseen.safetensors
make_family flux1 tiny --naming diffusers diffusers.safetensors --set mlp=256 --set mlp1=256
run --to bf16-safetensors --drop '^norm_out\.linear$' --drop 'transformer_blocks\.0\.attn\.norm_q$' diffusers.safetensors unseen.safetensors --force | grep '^[$!=]'
run --to bf16-safetensors unseen.safetensors out.safetensors --force | grep '^[$!=]'
run --to bf16-safetensors --drop '^transformer_blocks\.1\.attn\.norm_q$' diffusers.safetensors unseen.safetensors --force | grep '^[$!=]'
run --to fp8-comfy unseen.safetensors none.safetensors | grep '^[$!=]'
rm *.safetensors

echo "== prefixes that no loader knows"
for prefix in _orig_mod. module.model.diffusion_model. pipe.dit. my.trainer.; do
  make_family z_image tiny --set ffn=256 --set ctx=128 --prefix=$prefix prefixed.safetensors
  run --to nvfp4-comfy --force prefixed.safetensors out.safetensors | grep '^[$!=]'
  "$QCONV" inspect out.safetensors --all | awk '/cap_embedder.1.weight / { print $1, $3, $4 }'
done
run verify out.safetensors --against prefixed.safetensors | grep -e '^[$!=]' -e problems
run --to bf16-safetensors --names keep --force prefixed.safetensors out.safetensors | grep '^[$!=]'
"$QCONV" inspect out.safetensors --all | awk '/cap_embedder.1.weight / { print $1 }'

echo "== parts of a checkpoint"
mkdir parts
make_family sdxl tiny --set ch=32 --set ctx=64 --prefix=model.diffusion_model. parts/model-00001-of-00004.safetensors
make_family clip_text tiny --set vocab=64 --prefix=conditioner.embedders.0.transformer. parts/model-00002-of-00004.safetensors
make_family t5 tiny --prefix=text_encoders.t5xxl.transformer. parts/model-00003-of-00004.safetensors
"$MAKE_MODEL" --layers 2 --rows 256 --cols 256 --prefix model_ema. parts/model-00004-of-00004.safetensors >/dev/null
rm -f out.safetensors
"$QCONV" --to copy-safetensors parts all.safetensors >/dev/null
for words in "fp8-comfy" "fp8-comfy --component all" "fp8-comfy --component text-encoder" "fp8-comfy --component text-encoder:t5" \
  "fp8-comfy --component text-encoder:t5xxl" "copy-safetensors --component text-encoder:clip_l" "copy-safetensors --component diffusion"; do
  run --to $words --progress none all.safetensors out.safetensors | grep '^[$!=]'
  [ -e out.safetensors ] &&
    "$QCONV" inspect out.safetensors --all | awk '/(model_ema.*|position_embedding|attention_bias|time_embed.0).weight / { print $1 }'
  rm -f out.safetensors
done

echo "== tensors that configure a loader, and masks"
rm -r parts all.safetensors
mkdir parts
make_family sdxl tiny --set ch=32 --set ctx=64 --prefix=model.diffusion_model. parts/model-00001-of-00003.safetensors
make_family clip_text tiny --set vocab=64 --prefix=conditioner.embedders.0.transformer. parts/model-00002-of-00003.safetensors
make_model parts/model-00003-of-00003.safetensors
rename_tensors 's/layers\.0\.weight/v_pred/; s/layers\.1\.weight/ztsnr/; s/layers\.2\.weight/edm_vpred.sigma_max/; s/layers\.3\.weight/other/' \
  parts/model-00003-of-00003.safetensors
for part in diffusion text-encoder; do
  run --to fp8-comfy --component $part --progress none parts out.safetensors --force | grep '^[$!=]'
  "$QCONV" inspect out.safetensors --all | awk '$1 ~ /^(v_pred|ztsnr|edm_vpred.sigma_max|other)$/ { print $1 }' | sort -u
done
make_model odd.safetensors
spoil odd.safetensors
run --to fp8-comfy odd.safetensors out.safetensors --force | grep '^[$!=]'
rename_tensors 's/layers\.3\.weight/layers.3.attn_mask/' odd.safetensors
run --to fp8-comfy odd.safetensors out.safetensors --force | grep '^[$!=]'
