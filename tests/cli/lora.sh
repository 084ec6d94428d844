# SPDX-License-Identifier: LGPL-2.1-or-later
# LoRA files that are merged into the weights
. "$LIB"
need_target nvfp4-comfy
only_families
make_model in.safetensors

# make_lora FILE LAYER SUFFIX SHAPE BYTES …: BF16 tensors with the last bytes of the model's data
make_lora ()
{
  file=$1
  shift
  header=
  at=0
  while [ $# -gt 0 ]; do
    header="$header${header:+,}\"$1$2\":{\"dtype\":\"BF16\",\"shape\":$3,\"data_offsets\":[$at,$((at + $4))]}"
    at=$((at + $4))
    shift 4
  done
  n=$((${#header} + 2))
  # the length, little-endian; then the header
  printf "\\$(printf %o $((n % 256)))\\$(printf %o $((n / 256)))\\0\\0\\0\\0\\0\\0{%s}" "$header" >"$file"
  tail -c "$at" in.safetensors >>"$file"
}

make_lora one.safetensors diffusion_model.layers.1 .lora_up.weight '[256,2]' 1024 \
  diffusion_model.layers.1 .lora_down.weight '[2,512]' 2048
make_lora other.safetensors lora_unet_layers_2 .diff '[256,512]' 262144
make_lora partial.safetensors layers.1 .diff '[256,512]' 262144 layers.77 .alpha '[1]' 2 \
  lora_te_text_model_fc1 .alpha '[1]' 2
make_lora stranger.safetensors double_blocks.0.img_attn.qkv .diff '[256,512]' 262144
make_lora dora.safetensors layers.1 .dora_scale '[256]' 512
make_lora shape.safetensors layers.1 .diff '[128,512]' 131072
make_lora ':1.safetensors' layers.3 .diff '[256,512]' 262144

run --to bf16-safetensors --lora one.safetensors --lora other.safetensors:0.5 in.safetensors merged.safetensors \
  | without_times
run verify --against in.safetensors merged.safetensors
run --to nvfp4-comfy --effort rtn --lora one.safetensors:-1.5e-1 --lora ./:1.safetensors in.safetensors out.safetensors \
  | without_times
run verify out.safetensors
run --to bf16-safetensors --lora one.safetensors:0 in.safetensors zero.safetensors | without_times
"$QCONV" --to bf16-safetensors in.safetensors copy.safetensors >/dev/null
cmp zero.safetensors copy.safetensors && echo "a LoRA of strength 0 changes nothing"
run --to bf16-safetensors --lora merged.safetensors in.safetensors bad.safetensors
run --to bf16-safetensors --lora stranger.safetensors --lora-partial in.safetensors bad.safetensors
run --to bf16-safetensors --lora partial.safetensors in.safetensors bad.safetensors
run --to bf16-safetensors --lora partial.safetensors:2 --lora-partial in.safetensors partly.safetensors | without_times
run --to nvfp4-comfy --lora dora.safetensors in.safetensors bad.safetensors
run --to nvfp4-comfy --lora shape.safetensors in.safetensors bad.safetensors
run --to bf16-safetensors --lora-partial --lora shape.safetensors in.safetensors bad.safetensors
mkdir peft
make_lora peft/adapter_model.safetensors base_model.model.layers.1 .lora_B.weight '[256,2]' 1024 \
  base_model.model.layers.1 .lora_A.weight '[2,512]' 2048
run --to bf16-safetensors --lora peft in.safetensors unknown.safetensors | without_times
echo '{"peft_type": "LORA", "lora_alpha": 4, "fan_in_fan_out": true}' >peft/adapter_config.json
run --to bf16-safetensors --lora peft in.safetensors bad.safetensors
echo '{"peft_type": "LORA", "lora_alpha": 4}' >peft/adapter_config.json
run --to bf16-safetensors --lora peft in.safetensors twice.safetensors | without_times
# An input of the run does not become its output
run --to bf16-safetensors --force --lora one.safetensors in.safetensors one.safetensors
run --to bf16-safetensors --force --lora peft in.safetensors peft/adapter_model.safetensors
run --to bf16-safetensors --force --lora peft in.safetensors peft/adapter_config.json
ln -s out.safetensors like.safetensors
run --to nvfp4-comfy --force --like out.safetensors in.safetensors like.safetensors
echo '{"layers.0": 1}' >scales.json
run --to nvfp4-comfy --force --input-scale scales.json in.safetensors scales.json
echo '[{"match": "layers.0", "scheme": "nvfp4"}]' >rules.json
run --to nvfp4-comfy --force --layer-config rules.json in.safetensors rules.json
rm like.safetensors scales.json rules.json
rm peft/adapter_config.json
mkfifo peft/adapter_config.json
run --to bf16-safetensors --lora peft in.safetensors bad.safetensors
run --to nvfp4-comfy --lora missing.safetensors:1 in.safetensors bad.safetensors
run --to copy-safetensors --lora one.safetensors in.safetensors bad.safetensors
run edit --lora one.safetensors in.safetensors bad.safetensors
# Quantized layers are decoded, merged and encoded again
run --to nvfp4-comfy --effort rtn --lora one.safetensors out.safetensors again.safetensors | without_times
run --to f16-safetensors --lora one.safetensors:1e30 in.safetensors large.safetensors
list
