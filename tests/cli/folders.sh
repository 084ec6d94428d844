# SPDX-License-Identifier: LGPL-2.1-or-later
# Folders as inputs and outputs, several inputs, download caches
. "$LIB"
need_target nvfp4-comfy
need_format gguf
make_model m.safetensors
echo "- a pipeline"
mkdir -p pipe/transformer pipe/vae pipe/scheduler
cp m.safetensors pipe/transformer/diffusion_pytorch_model.safetensors
cp m.safetensors pipe/vae/diffusion_pytorch_model.safetensors
echo '{}' >pipe/model_index.json
run inspect pipe
cp m.safetensors pipe/whole.safetensors
run inspect pipe
run inspect pipe/transformer | head -3
echo "- several models"
mkdir two
cp m.safetensors two/a.safetensors
"$MAKE_MODEL" --layers 4 --rows 256 --cols 512 --format gguf two/b.gguf || exit 1
run inspect two
echo "- shards"
make_model shards --format shards --shard-size 300000
ls shards
run inspect shards | head -3
rm shards/*-00002-of-*
run inspect shards
cp m.safetensors shards/whole.safetensors
run inspect shards
rm shards/whole.safetensors shards/*.index.json
run inspect shards
echo "- pieces of a model"
mkdir pieces
split -b 400000 m.safetensors pieces/model.safetensors.part
run inspect pieces
rm pieces/*
split -b 400000 -d m.safetensors pieces/model.safetensors.
run inspect pieces
rm pieces/*
split -b 400000 m.safetensors pieces/
mv pieces/aa pieces/xaa && mv pieces/ab pieces/xab
run --to bf16-safetensors pieces
rm pieces/*
cp m.safetensors pieces/split-a
cp m.safetensors pieces/split-bb
cp m.safetensors pieces/split-cc
run inspect pieces
rm pieces/*
cp m.safetensors pieces/model.safetensors.incomplete
run inspect pieces
rm -r pieces
echo "- a folder as output"
mkdir out
run -q --to bf16-safetensors m.safetensors out | without_times
run -q --to bf16-safetensors m.safetensors out/
run -q --to bf16-safetensors --force m.safetensors out/ | without_times
run edit m.safetensors out --metadata modelspec.author=b | without_times
ls out
echo "- several inputs"
cp m.safetensors n.safetensors
echo "no model" >bad.safetensors
mkdir again
cp m.safetensors again/n.safetensors
run --to f16-safetensors --progress none m.safetensors bad.safetensors n.safetensors again/n.safetensors out | without_times
run --to f16-safetensors --dry-run --force m.safetensors n.safetensors out | grep -v '^  layer'
run --to f16-safetensors --dry-run m.safetensors n.safetensors out | grep -v -e '^  [ls]' -e '^  plain' -e '^  $'
ls out
(
  cd again
  echo "- this folder"
  run -q --to f16-safetensors . | without_times
  list
)
echo "- a download cache"
cache=hub/models--org--name
commit=$cache/snapshots/0123456789abcdef0123456789abcdef01234567
mkdir -p $cache/blobs $commit
cp m.safetensors $cache/blobs/0a1b
ln -s ../../blobs/0a1b $commit/model.safetensors
run -q --to f16-safetensors $commit/model.safetensors | without_times
run -q --to f16-safetensors $commit | without_times
run -q --to f16-safetensors $cache | without_times
run edit $commit/model.safetensors --metadata a=b
(
  cd $commit
  run -q --to f16-safetensors model.safetensors
)
run -q --to f16-safetensors $commit/model.safetensors $commit/asked-for.safetensors | without_times
run edit $commit/model.safetensors --metadata a=b --force | without_times | sed 's#/.*/hub/#.../hub/#'
find hub | sort
list
