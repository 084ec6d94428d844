# SPDX-License-Identifier: LGPL-2.1-or-later
# A LoRA of what encoding takes from the weights
. "$LIB"
need_target nvfp4-comfy
need_target fp8-comfy
only_families flux1 wan qwen_image t5
make_model in.safetensors

# keys FILE: the keys of a LoRA and their shapes, sorted
keys ()
{
  "$QCONV" inspect --json "$1" >inspected || echo "$1 cannot be read"
  tr -d ' \n' <inspected | sed 's/.*"tensors":\[//; s/{"name"/\n{"name"/g' |
    sed -n 's/^{"name":"\([^"]*\)","dtype":"\([^"]*\)","shape":\([^]]*\]\).*/  \1 \2 \3/p' | sort
  rm inspected
}

# mean FILE: prints the error of FILE against in.safetensors
mean ()
{
  "$QCONV" verify --against in.safetensors "$1" | awk '$1 == "plain" { print "  " $4; exit }'
}

run --to nvfp4-comfy -j 1 --dry-run --error-lora mend.safetensors in.safetensors out.safetensors |
  sed 's/working memory.*/working memory SIZE/'
"$QCONV" --to nvfp4-comfy --dry-run --json --error-lora mend.safetensors in.safetensors out.safetensors 2>/dev/null |
  "$CHECK_JSON" error_lora error_lora/layers error_lora/bytes error_lora/relmse_with
run --to nvfp4-comfy --error-lora mend.safetensors in.safetensors out.safetensors | without_times
keys mend.safetensors

echo "The output itself is as without the LoRA, and the LoRA mends it as the result says"
"$QCONV" --to nvfp4-comfy in.safetensors plain.safetensors >/dev/null 2>&1
cmp plain.safetensors out.safetensors
"$QCONV" --to f32-safetensors out.safetensors decoded.safetensors >/dev/null 2>&1
"$QCONV" --to f32-safetensors --lora mend.safetensors out.safetensors mended.safetensors >/dev/null 2>&1
mean decoded.safetensors
mean mended.safetensors
# All directions of a layer are its whole error, but for the rounding of the factors
"$QCONV" --to nvfp4-comfy --error-lora full.safetensors:1024 in.safetensors \
  full-out.safetensors 2>/dev/null |
  grep LoRA
"$QCONV" --to f32-safetensors --lora full.safetensors out.safetensors mended2.safetensors >/dev/null 2>&1
"$QCONV" verify --against in.safetensors mended2.safetensors |
  awk '$1 == "plain" { print ($4 < 1e-6 ? "  nothing is left" : "  left: " $4); exit }'

echo "The same bytes with other threads and memory"
for options in "-j 1 --memory 8M" "-j 3 --memory 512M" "-j 2 --no-verify" "--resume"; do
  # shellcheck disable=SC2086
  "$QCONV" --to nvfp4-comfy $options --error-lora other.safetensors --force in.safetensors other-out.safetensors \
    >/dev/null 2>&1
  cmp mend.safetensors other.safetensors && cmp out.safetensors other-out.safetensors && echo "  $options: same"
done
rm ./*out.safetensors decoded.safetensors mend*.safetensors plain.safetensors other.safetensors full.safetensors

echo "Names"
small="--set depth_double=1 --set depth_single=1 --set hidden=128 --set mlp=256 --set mlp1=256 --set ctx=128"
# shellcheck disable=SC2086
make_family flux1 tiny flux.safetensors $small
# shellcheck disable=SC2086
make_family flux1 tiny diffusers.safetensors --naming diffusers $small
run --to fp8-comfy --error-lora flux-mend.safetensors:8 --only '(qkv|linear[12])$' flux.safetensors \
  flux-out.safetensors | grep -A1 LoRA
keys flux-mend.safetensors
run --to fp8-comfy --error-lora mend.safetensors:8 --only '(qkv|linear[12])$' diffusers.safetensors out.safetensors |
  grep -A1 LoRA
cmp flux-mend.safetensors mend.safetensors
run --to bf16-safetensors --lora flux-mend.safetensors flux-out.safetensors merged.safetensors | tail -1
rm merged.safetensors mend.safetensors out.safetensors
make_family wan tiny-t2v wan.safetensors
run --to fp8-comfy --error-lora mend.safetensors:4 --only 'blocks\.0\.(ffn|self_attn\.q)' wan.safetensors \
  out.safetensors | grep -A1 LoRA
keys mend.safetensors
rm mend.safetensors out.safetensors wan.safetensors
make_family qwen_image tiny qwen.safetensors
run --to fp8-comfy --error-lora mend.safetensors:4 --only 'blocks\.0\.(img_mlp|attn\.to_q)' qwen.safetensors \
  out.safetensors | grep -A1 LoRA
keys mend.safetensors
rm mend.safetensors out.safetensors qwen.safetensors

echo "Refused"
run --to nvfp4-comfy --error-lora bad.safetensors:0 in.safetensors out.safetensors
run --to nvfp4-comfy --error-lora bad.safetensors:1025 in.safetensors out.safetensors
run --to nvfp4-comfy --error-lora :8 in.safetensors out.safetensors
run --to bf16-safetensors --error-lora bad.safetensors in.safetensors out.safetensors
run --to copy-safetensors --error-lora bad.safetensors in.safetensors out.safetensors
run --to nvfp4-comfy --error-lora ./out.safetensors in.safetensors out.safetensors
run --to nvfp4-comfy --force --error-lora in.safetensors in.safetensors out.safetensors
run --to nvfp4-comfy --error-lora flux-mend.safetensors in.safetensors out.safetensors
run --to nvfp4-comfy --dry-run --error-lora flux-mend.safetensors in.safetensors out.safetensors | grep '^[!=]'
run --to nvfp4-comfy --force --lora flux-mend.safetensors --error-lora flux-mend.safetensors flux.safetensors \
  out.safetensors
run --to nvfp4-comfy --error-lora missing/bad.safetensors in.safetensors out.safetensors
run --to nvfp4-comfy --error-lora bad.safetensors --names keep diffusers.safetensors out.safetensors
run --to fp8-comfy --error-lora bad.safetensors flux-out.safetensors out.safetensors
run --to nvfp4-comfy --error-lora bad.safetensors in.safetensors flux.safetensors .
run --to nvfp4-comfy --error-lora bad.safetensors:1024 --memory 1M -j 1 in.safetensors out.safetensors |
  sed 's/[0-9]* MiB/N MiB/; s/[0-9]*M$/NM/'
make_family t5 tiny t5.safetensors
run --to fp8-comfy --error-lora bad.safetensors t5.safetensors out.safetensors
spoil in.safetensors
run --to nvfp4-comfy --error-lora bad.safetensors in.safetensors out.safetensors
run edit --error-lora bad.safetensors flux-out.safetensors
list
