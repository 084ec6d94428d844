# SPDX-License-Identifier: LGPL-2.1-or-later
# Which rule decides about a layer, the highest first; wrong rules are refused before any work
. "$LIB"
need_target nvfp4-comfy
need_target fp8-comfy
need_format gguf
only_families flux1 t5 wan
make_family flux1 tiny in.safetensors
make_family flux1 tiny diffusers.safetensors --naming diffusers
make_family flux1 tiny in.gguf --format gguf --type q8_0

# what REGEX ARGUMENT...: prints the scheme of layers whose names match, and the rule that decided
what ()
{
  name=$1
  shift
  echo "\$ $*"
  "$QCONV" --to nvfp4-comfy --dry-run "$@" 2>.stderr | awk -v "name=$name" '$1 ~ name { print "  " $1, $2, $3, $4 }'
  sed 's/^/! /' .stderr
  rm .stderr
}

# config ROW...: writes a layer config
config ()
{
  rm -f config.json
  printf '[' >config.json
  for row in "$@"; do
    [ "$row" = "$1" ] || printf ',\n' >>config.json
    printf '%s' "$row" >>config.json
  done
  printf ']\n' >>config.json
}

echo "== the family, its fallback, and what overrules them"
what '^(img_in|double_blocks.0.img_(mod.lin|mlp.0))$' in.safetensors
what '^(img_in|double_blocks.0.img_(mod.lin|mlp.0))$' --fallback keep in.safetensors
what '^(time_in.in_layer|double_blocks.0.img_(mod.lin|mlp.0))$' --fallback fp8 in.safetensors
what '^double_blocks.0.img' --like in.gguf --layers keep:time_in in.safetensors
what '^double_blocks.0.img' --like in.gguf --only img_mlp in.safetensors
what '^double_blocks.0.img' --like in.gguf --only img_mlp --keep 'mlp.2' in.safetensors
what '^double_blocks.0.img' --like in.gguf --only '_mlp' --keep 'mlp.2' --layers fp8:img in.safetensors
config '{"match": "img_mlp.0", "scheme": "nvfp4"}' '{"match": "0.img_mlp", "scheme": "keep"}'
what '^double_blocks.0.img' --keep 'mlp.2' --layers fp8:img --layer-config config.json in.safetensors
what '^(img_in|txt_in|time_in.out_layer)$' --only 'img_in|time_in.out' in.safetensors
what '^(img_in|txt_in|time_in.in_layer)$' --layers 'nvfp4:img_in' --layers 'fp8:txt_in' in.safetensors

echo "== the first row that matches, and the options of a row"
what '^double_blocks.0.img_mlp' --layers 'keep:img_mlp.0' --layers 'fp8:img_mlp' in.safetensors
config '{"match": "img_mlp.0", "scheme": "fp8", "options": {"dtype": "e5m2"}}'
"$QCONV" --to nvfp4-comfy --layer-config config.json --layers fp8,dtype=e5m2:img_mlp.2 in.safetensors out.safetensors \
  >log
"$QCONV" inspect --json out.safetensors >layers
for layer in img_mlp.0 img_mlp.2 img_mod.lin; do
  grep -A 3 -F "\"double_blocks.0.$layer.weight\"" layers | grep dtype
done
what '^double_blocks.0.img_mlp' --layers fp8,dtype=e4m3:img_mlp in.safetensors

echo "== both spellings of a renamed layer"
what '^double_blocks.0.img_(attn|mlp)' --layers 'fp8:^double_blocks.0.img_attn.qkv$' diffusers.safetensors
what '^double_blocks.0.img_(attn|mlp)' --layers 'fp8:^transformer_blocks.0.attn.to_q$' diffusers.safetensors
what '^double_blocks.0.img_(attn|mlp)' --keep 'ff.net.2' diffusers.safetensors

echo "== too small or too lopsided"
what '^(double_blocks.0.img_(attn|mlp.0)|single_blocks.0.linear1)' --skip-inefficient in.safetensors

echo "== layers that are small already"
already='^(img_in|final_layer.linear|double_blocks.0.img_(mod.lin|mlp.0))$'
"$QCONV" --to fp8-comfy --only . in.safetensors small.safetensors --force >log
what "$already" small.safetensors
what "$already" --fallback keep small.safetensors
what "$already" --layers keep:final_layer small.safetensors
"$QCONV" --to bf16-safetensors --dry-run small.safetensors | awk '$1 == "img_in" { print "  " $1, $2, $3, $4 }'
"$QCONV" --to int8-comfy --only . in.safetensors small.safetensors --force >log
what "$already" small.safetensors
"$QCONV" --to nvfp4-comfy small.safetensors out.safetensors --force >log
"$QCONV" verify --against small.safetensors out.safetensors | awk '$1 ~ /^(img_in|int8)$/ { print "  " $1, $2, $4, $5 }'
what "$already" in.gguf
rm small.safetensors

echo "== what another file has"
"$QCONV" --to fp8-comfy --only '^double_blocks.0' in.safetensors like.safetensors --force >log
what 'img_(attn.proj|mlp.0)' --like like.safetensors diffusers.safetensors
"$QCONV" --to nvfp4-comfy in.safetensors itself.safetensors --force >log
"$QCONV" --to nvfp4-comfy --like itself.safetensors in.safetensors again.safetensors --force >log
cmp itself.safetensors again.safetensors && echo "like itself"
make_family wan tiny-t2v other.safetensors
run --to nvfp4-comfy --like itself.safetensors other.safetensors none.safetensors
rm itself.safetensors again.safetensors other.safetensors
run --to nvfp4-comfy --like in.safetensors in.safetensors none.safetensors
run --to nvfp4-comfy --like missing.safetensors in.safetensors none.safetensors

echo "== repeated options all count"
what '^double_blocks.[01].img_(attn.proj|mlp)' --keep 'mlp.0' --keep 'attn.proj' in.safetensors
what '^double_blocks.[01].img_(attn.proj|mlp)' --only '0.img_mlp' --only '1.img_attn' in.safetensors
config '{"match": "0.img_mlp", "scheme": "keep"}'
mv config.json first.json
config '{"match": "img_mlp", "scheme": "fp8"}'
what '^double_blocks.[01].img_mlp' --layer-config first.json --layer-config config.json in.safetensors
rm first.json
"$QCONV" --to fp8-comfy --only '^double_blocks.1.img_mlp' in.safetensors more.safetensors --force >log
what '^double_blocks.[01].img_mlp' --like like.safetensors --like more.safetensors in.safetensors
rm more.safetensors
run --to nvfp4-comfy --hp-filter img_in --hp-filter img_mlp.0 in.safetensors none.safetensors
run --to nvfp4-comfy --keep img_mlp --keep imgmlp in.safetensors none.safetensors
run --to nvfp4-comfy --keep img_mlp.2 --layers fp8:img_mlp in.safetensors none.safetensors
run --to nvfp4-comfy --only img_mlp --keep img in.safetensors none.safetensors

echo "== what is wrong"
fails ()
{
  run --to nvfp4-comfy "$@" none.safetensors | sed 's/it takes keep, [^)]*/it takes keep, SCHEMES/'
}
make_family t5 tiny t5.safetensors
for layers in 'fp9:img' 'q8_0:img' 'fp8_raw:img' fp8 fp8: ':img' 'keep,dtype=e5m2:img' 'fp8,dtyp=e5m2:img' \
  'fp8,dtype=e6m1:img' 'fp8,dtype:img' 'fp8:no_such_layer' 'fp8:img_atn' 'fp8:double_block.0.img_atn' \
  'fp8:img_in.bias' 'fp8:_norm$'; do
  fails --layers "$layers" in.safetensors
done
fails --layers 'fp8:(' in.safetensors | sed 's/[^ ]*Error while.*/REASON/;s/missing .*/REASON/'
fails --layers fp8:img_attn --layers keep:img_attn.proj in.safetensors
fails --layers fp8:layer_norm t5.safetensors
fails --layers 'fp8:encoder' --only 'layer_norm' t5.safetensors
fails --fallback fp9 in.safetensors
run --to bf16-safetensors --layers fp8:img_attn in.safetensors none.safetensors
run --to bf16-safetensors --fallback keep in.safetensors none.safetensors
for row in '{"match": "img", "shceme": "fp8"}' \
  '{"match": "img"}' \
  '{"match": 1, "scheme": "fp8"}' \
  '{"match": "img", "scheme": "fp9"}' \
  '{"match": "img", "scheme": "fp8", "options": "dtype"}' \
  '{"match": "img", "scheme": "fp8", "options": {"dtype": ["e5m2"]}}' \
  '{"match": "img", "scheme": "fp8", "options": {"dtyp": "e5m2"}}' \
  '{"match": "img", "scheme": "keep", "options": {"dtype": "e5m2"}}' \
  '{"match": "nothing", "scheme": "fp8"}' \
  '"img"'; do
  config '{"match": "txt", "scheme": "fp8"}' "$row"
  fails --layer-config config.json in.safetensors
done
echo '{"match": "img", "scheme": "fp8"}' >config.json
fails --layer-config config.json in.safetensors
echo '[{"match": ' >config.json
fails --layer-config config.json in.safetensors | sed 's/[^ ]* Parse error.*/REASON/'
nested='[[[[[[[[[[[[[[[[[[[[[[[[['
echo "$nested" >config.json
fails --layer-config config.json in.safetensors
fails --layer-config missing.json in.safetensors
fails --input-scale missing.json in.safetensors

echo "== files of JSON that are too large, or no files"
truncate -s 17M big.json
mkfifo pipe.json
for file in big.json pipe.json; do
  fails --layer-config $file in.safetensors
  fails --input-scale $file in.safetensors
  fails --family-file $file in.safetensors
done
rm big.json pipe.json
rm -f log layers
list
