# SPDX-License-Identifier: LGPL-2.1-or-later
# Files beside the weights: the tokenizer, the vision part, and the config that says how many blocks there are
. "$LIB"
need_target fp8-comfy
need_format gguf
only_families gemma llm_dense qwen2_5_vl t5 wan

tokenizer ()
{
  "$QCONV" inspect --all out.safetensors | awk '$1 == "spiece_model" || $1 == "tekken_model" { print $1, $2, $3 }'
  rm out.safetensors
}

echo "== tokenizers"
make_family t5 tiny-umt5 umt5.safetensors
run --to fp8-comfy umt5.safetensors out.safetensors | grep '^[$!=]'
tokenizer
printf 'the bytes of a tokenizer' >spiece.model
run --to fp8-comfy umt5.safetensors out.safetensors | grep '^[$!=]'
grep -c 'the bytes of a tokenizer' out.safetensors
mv out.safetensors made.safetensors
run --to nvfp4-comfy made.safetensors out.safetensors | grep '^[$!=]'
grep -c 'the bytes of a tokenizer' out.safetensors
tokenizer
run --to bf16-safetensors umt5.safetensors out.safetensors | grep '^[$!=]'
tokenizer
make_family t5 tiny t5.safetensors
run --to fp8-comfy t5.safetensors out.safetensors | grep '^[$!=]'
tokenizer
mkdir text_encoder_2 tokenizer_2
mv umt5.safetensors text_encoder_2/model.safetensors
mv spiece.model tokenizer_2
run --to fp8-comfy text_encoder_2 out.safetensors | grep '^[$!=]'
tokenizer
make_family gemma tiny gemma.safetensors
run --to fp8-comfy gemma.safetensors out.safetensors | grep '^[$!=]'
tokenizer
make_family llm_dense tiny mistral.safetensors --set hidden=5120 --set layers=1 --set ffn=256 --set vocab=64
run --to fp8-comfy mistral.safetensors out.safetensors | grep '^[$!=]'
printf '{}' >tekken.json
run --to fp8-comfy mistral.safetensors out.safetensors --force | grep '^[$!=]'
tokenizer
rm -r text_encoder_2 tokenizer_2 ./*.safetensors

echo "== the makers' names of UMT5"
make_family t5 tiny-umt5 original.safetensors
make_family t5 tiny-umt5 wan.safetensors --naming wan
"$QCONV" --to fp8-comfy original.safetensors original.out >log 2>&1
run --to fp8-comfy wan.safetensors wan.out | grep '^[$!=]'
cmp original.out wan.out && echo "the same bytes"
rm ./*.out log ./*.safetensors

echo "== the vision part"
make_family llm_dense tiny-qwen2 text-q8_0.gguf --format gguf --naming llama.cpp --arch qwen2vl
run --to fp8-comfy text-q8_0.gguf out.safetensors | grep '^[$!=]'
touch text-mmproj-f16.gguf
run --to fp8-comfy --force text-q8_0.gguf out.safetensors | grep '^[$!=]'
rm ./*.gguf out.safetensors

echo "== the number of blocks"
make_family wan tiny-t2v wan.safetensors --set ctx=256
echo '{"num_layers": 3}' >config.json
run --to fp8-comfy wan.safetensors out.safetensors | grep '^[$!=]'
echo '{"num_layers": 5}' >config.json
run --to fp8-comfy --force wan.safetensors out.safetensors | grep '^[$!=]'
run verify wan.safetensors | head -3
make_family gemma tiny gemma.safetensors
echo '{"text_config": {"num_hidden_layers": 4}}' >config.json
run --to bf16-safetensors gemma.safetensors out.safetensors --force | grep '^[$!=]'
for text in '{"num_hidden_layers": "many"}' '[]' '{"text_config": [], "num_hidden_layers": 99999999}' 'no JSON'; do
  echo "$text" >config.json
  run --to bf16-safetensors gemma.safetensors out.safetensors --force | grep '^[!=]'
done
rm config.json
list
