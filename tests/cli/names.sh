# SPDX-License-Identifier: LGPL-2.1-or-later
# Names of the output, and which tensors it holds
. "$LIB"
need_target nvfp4-comfy
need_target fp8-comfy
need_format gguf
only_families flux1 hidream t5

# names FILE: prints its tensors and their shapes, sorted
names ()
{
  "$QCONV" inspect --json "$1" >inspected || echo "$1 cannot be read"
  tr -d ' \n' <inspected | sed 's/.*"tensors":\[//; s/{"name"/\n{"name"/g; s/"dtype":"[^"]*",//g' |
    sed -n 's/^{"name":"\([^"]*\)","shape":\([^]]*\]\).*/\1 \2/p' | sort
  rm inspected
}

# first FILE: prints some of its names, and their number
first ()
{
  names "$1" >names
  sed -n '1p;20p;$p' names | sed 's/^/  /'
  echo "  $(wc -l <names) tensors"
  rm names
}

# make_flux FILE [options]: a small FLUX.1, because only names matter here
make_flux ()
{
  make_family flux1 tiny "$@" --set hidden=128 --set mlp=256 --set mlp1=256 --set ctx=128
}

make_flux original.safetensors
make_flux diffusers.safetensors --naming diffusers
make_flux prefixed.safetensors --prefix model.diffusion_model.
make_flux flux.gguf --format gguf --type q8_0

echo "== every target of ComfyUI gets the same bytes from both namings"
one='--set depth_double=1 --set depth_single=1 --set mlp=256 --set mlp1=256 --set ctx=256'
make_family flux1 tiny one-original.safetensors $one
make_family flux1 tiny one-diffusers.safetensors $one --naming diffusers
for target in $("$QCONV" targets | sed -n 's/^\([^ ]*-comfy\) .*/\1/p'); do
  for naming in original diffusers; do
    "$QCONV" --to $target --effort rtn --no-verify one-$naming.safetensors $naming.out --force >log 2>&1 || cat log
  done
  cmp original.out diffusers.out && echo "$target"
done >same
rm one-*.safetensors
grep -x -e nvfp4-comfy -e fp8-comfy same
[ "$(wc -l <same)" -eq "$("$QCONV" targets | grep -c '^[^ ]*-comfy ')" ] && echo "and all others"

echo "== there and back"
"$QCONV" --to bf16-safetensors --names diffusers original.safetensors there.safetensors >log
"$QCONV" --to bf16-safetensors --names comfy there.safetensors back.safetensors >log
"$QCONV" --to bf16-safetensors --names comfy diffusers.safetensors over.safetensors >log
names there.safetensors >a
names diffusers.safetensors >b
cmp a b && cmp back.safetensors over.safetensors && echo "the same"

run --to nvfp4-comfy --names diffusers --dry-run original.safetensors | tail -2

echo "== what is quantized is stacked, not decoded"
for target in nf4-comfy fp8-row-comfy int8-comfy; do
  "$QCONV" --to $target --names keep diffusers.safetensors parts.safetensors --force >log
  "$QCONV" --to $target --dry-run parts.safetensors | awk -v t=$target '$3 == "target" { n[$4]++ }
    END { for (i in n) print t, i, n[i] }'
done
rm parts.safetensors
"$QCONV" --to nvfp4-comfy --names keep diffusers.safetensors parts.safetensors --force >log
run --to nvfp4-comfy --dry-run parts.safetensors 2>&1 | grep '!'
rm parts.safetensors

echo "== scales of inputs by either name"
echo '{"double_blocks.0.img_attn.proj": 0.5, "double_blocks.0.img_attn.qkv": 0.25}' >scales.json
"$QCONV" --to fp8-comfy --input-scale scales.json diffusers.safetensors out.safetensors --force >log
names out.safetensors | grep input_scale
echo '{"transformer_blocks.0.attn.to_out.0": 0.5}' >scales.json
"$QCONV" --to fp8-comfy --input-scale scales.json diffusers.safetensors out.safetensors --force >log
names out.safetensors | grep input_scale
echo '{"transformer_blocks.0.attn.to_q": 0.5}' >scales.json
run --to fp8-comfy --input-scale scales.json diffusers.safetensors none.safetensors
rm scales.json out.safetensors

echo "== the default is what the target's loader knows, else what the source has"
for target in bf16-safetensors nvfp4-comfy; do
  for choice in '' '--names keep' '--names comfy' '--names diffusers'; do
    [ "$target $choice" = "nvfp4-comfy --names diffusers" ] && continue # its loader does not know them
    echo "$target $choice"
    # shellcheck disable=SC2086
    "$QCONV" --to $target $choice diffusers.safetensors out.safetensors --force >log 2>&1 || cat log
    names out.safetensors | sed -n 's/ .*//;s/^/  /;1p'
  done
done

echo "== a prefix stays, and means nothing to rules"
"$QCONV" --to nvfp4-comfy prefixed.safetensors out.safetensors --force --layers 'fp8:^double_blocks.0.img_mlp.0$' >log
first out.safetensors
"$QCONV" --to nvfp4-comfy original.safetensors bare.safetensors --layers 'fp8:^double_blocks.0.img_mlp.0$' >log
names out.safetensors | sed 's/model.diffusion_model.//' | sort >a
names bare.safetensors >b
cmp a b && echo "all else is the same"

echo "== GGUF"
"$QCONV" --to bf16-safetensors flux.gguf out.safetensors --force >log
names out.safetensors >a
names original.safetensors >b
cmp a b && echo "names and shapes of the original"

echo "== parts of a checkpoint"
mkdir parts
make_flux parts/model-00001-of-00003.safetensors --prefix model.diffusion_model.
make_family t5 tiny parts/model-00002-of-00003.safetensors --prefix text_encoders.t5xxl.transformer.
"$MAKE_MODEL" --layers 2 --rows 256 --cols 256 --prefix vae. parts/model-00003-of-00003.safetensors
"$QCONV" --to copy-safetensors parts all.safetensors >log
rm -r parts
"$QCONV" --to fp8-comfy --dry-run all.safetensors |
  awk '$3 == "target" { n[substr ($1, 1, 5)]++ } END { for (i in n) print i, n[i] }'
for part in diffusion text-encoder vae; do
  echo "$part"
  "$QCONV" --to fp8-comfy --component $part all.safetensors out.safetensors --force >log 2>&1
  grep warning log
  first out.safetensors
  "$QCONV" verify --allow-incomplete --against all.safetensors out.safetensors | head -n 1
done
"$QCONV" --to fp8-comfy --component diffusion all.safetensors out.safetensors --force >log
"$QCONV" --to fp8-comfy --component diffusion original.safetensors bare.safetensors --force >log
cmp out.safetensors bare.safetensors && echo "the diffusion part is the model by itself"
run --to fp8-comfy --component vae original.safetensors none.safetensors
run --to copy-safetensors --component vae all.safetensors none.safetensors | without_times
rm none.safetensors
run --to fp8-comfy --component unet all.safetensors none.safetensors

echo "== what no loader uses, and what nobody wants"
mkdir parts
make_family t5 tiny parts/model-00001-of-00002.safetensors
"$MAKE_MODEL" --layers 2 --rows 256 --cols 256 --prefix decoder. parts/model-00002-of-00002.safetensors
"$QCONV" --to copy-safetensors parts t5.safetensors >log
run --to fp8-comfy t5.safetensors out.safetensors --force 2>&1 | grep -e '!' -e '='
names out.safetensors | grep -c decoder
"$QCONV" --to bf16-safetensors t5.safetensors out.safetensors --force >log
names out.safetensors | grep -c decoder
"$QCONV" --to bf16-safetensors --drop '^decoder' --drop 'block[.]2' t5.safetensors out.safetensors --force >log
first out.safetensors
run --to bf16-safetensors --drop 'no such tensor' t5.safetensors none.safetensors
run --to bf16-safetensors --drop . t5.safetensors none.safetensors
run --to copy-safetensors --drop decoder t5.safetensors none.safetensors

echo "== a model that lacks tensors, or a block, can only keep its names"
for lack in '^transformer_blocks.1.attn.to_k$' '^single_transformer_blocks.1[.]'; do
  run --to bf16-safetensors --drop "$lack" diffusers.safetensors lacking.safetensors | grep =
  run --to bf16-safetensors --names comfy lacking.safetensors none.safetensors
  run --to fp8-comfy lacking.safetensors none.safetensors
  run --to fp8-comfy --names keep lacking.safetensors out.safetensors --force | grep =
  names lacking.safetensors >a
  names out.safetensors | grep -v -e comfy_quant -e weight_scale >b
  cmp a b && echo "the same names"
  rm lacking.safetensors
done

echo "== words of --names come from the writers"
"$QCONV" complete --names | grep -x -e keep -e comfy -e diffusers
"$QCONV" convert -h | grep -o -e '--names keep.*|comfy|.*diffusers$' | sed 's/keep.*comfy/keep…comfy/; s/comfy.*diff/comfy…diff/'
make_model unknown.safetensors
run --to bf16-safetensors --names comfi unknown.safetensors
run --to bf16-safetensors --names original unknown.safetensors 2>&1 | sed 's/mean ".*"/mean …/'
run inspect --names comfy unknown.safetensors

echo "== what cannot be named"
run --to bf16-safetensors --names diffusers unknown.safetensors none.safetensors
make_family hidream tiny hidream.safetensors --sparse
run --to bf16-safetensors --names diffusers hidream.safetensors none.safetensors
rm -rf parts log a b same ./*.out
list
