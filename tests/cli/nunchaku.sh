# SPDX-License-Identifier: LGPL-2.1-or-later
# Files for nunchaku: their names, where the config comes from, families, and what no class of nunchaku takes
. "$LIB"
need_target svdq-fp4-nunchaku
only_families flux1 z_image sdxl sd15 t5
HF_HUB_CACHE=$PWD/hub
export HF_HUB_CACHE
"$MAKE_MODEL" --family flux1 --variant tiny --set depth_double=1 --set depth_single=1 flux.safetensors
to="--to svdq-fp4-nunchaku -o rounds=0 --force -q"
repo=hub/models--black-forest-labs--FLUX.1-dev

# config FILE: the metadata "config" of FILE
config ()
{
  "$QCONV" inspect --json "$1" | tr -d '\n' | sed 's/.*"config" *: *"\(\([^"\\]\|\\.\)*\)".*/  \1/; s/\\"/"/g'
  echo
}

# written [OPTION...]: converts, and shows the last two members of the config
written ()
{
  "$QCONV" $to "$@" flux.safetensors out.safetensors >/dev/null && config out.safetensors | sed 's/.*\(, "patch_size.*\)/  …\1/'
}

echo "- names"
"$QCONV" $to flux.safetensors >/dev/null && ls svdq-*
"$QCONV" --to svdq-int4-nunchaku -o rounds=0 -o rank=16 -q svdq-fp4_r32-flux.safetensors >/dev/null && ls svdq-*
rm svdq-*

echo "- the config: made, of the hub's newest snapshot, of refs/main, beside the input, given, of the input"
written
config out.safetensors | sed 's/^  //; s/}$/, "from": "hub"}/' >config
mkdir -p $repo/snapshots/1/transformer $repo/snapshots/2/transformer $repo/refs
cp config $repo/snapshots/1/transformer/config.json
written
sed 's/hub/main/' config >$repo/snapshots/2/transformer/config.json
touch -d 2001-01-01 $repo/snapshots/2/transformer/config.json
echo 2 >$repo/refs/main
written
sed 's/hub/beside/' config >config.json
written
sed 's/hub/given/' config >given.json
written --config given.json
cp out.safetensors again.safetensors
"$QCONV" $to again.safetensors out.safetensors >/dev/null && config out.safetensors | sed 's/.*\(, "patch_size.*\)/  …\1/'

echo "- configs that do not suit the model: passed over, but refused if they are given"
sed 's/"in_channels": 64/"in_channels": 128/' config.json >other.json
cp other.json config.json
written
"$QCONV" --to svdq-fp4-nunchaku --dry-run --force flux.safetensors out.safetensors 2>&1 | grep 'not used'
rm config.json
run $to -o config=other.json flux.safetensors out.safetensors
echo '{}' >empty.json
run $to --config empty.json flux.safetensors out.safetensors
run $to -o config=/dev/zero flux.safetensors out.safetensors
run $to --config given.json -o nunchaku.config=given.json flux.safetensors out.safetensors
run --to bf16-safetensors --config given.json flux.safetensors

echo "- what no class takes"
run $to -o rank=40 flux.safetensors out.safetensors
run $to --keep qkv flux.safetensors out.safetensors
run $to --layers 'awq,group=128:norm1\.linear' flux.safetensors out.safetensors
run $to --layers 'svdq_fp4:norm1\.linear' flux.safetensors out.safetensors
"$MAKE_MODEL" --family z_image --variant tiny z.safetensors
run $to --keep refiner z.safetensors out.safetensors
refiners="$to --names nunchaku_refiners"
run $refiners --layers svdq_fp4:noise_refiner z.safetensors out.safetensors
"$MAKE_MODEL" --family sd15 --variant tiny --sparse sd15.safetensors
run $to sd15.safetensors out.safetensors
"$MAKE_MODEL" --family t5 --variant tiny t5.safetensors
run $to t5.safetensors out.safetensors

echo "- Z-Image with plain refiners, from plain and from quantized ones"
skips () { "$QCONV" inspect --json "$1" | grep -o 'skip_refiners[^,]*'; }
"$QCONV" $to z.safetensors all.safetensors >/dev/null && skips all.safetensors
for file in z all; do
  "$QCONV" $refiners $file.safetensors out.safetensors >/dev/null && skips out.safetensors
  run verify out.safetensors
done

echo "- SDXL: the same file from the names of its makers and from those of diffusers"
for naming in original diffusers; do
  "$MAKE_MODEL" --family sdxl --variant tiny --naming $naming sdxl.safetensors
  "$QCONV" $to -o rank=16 --effort rtn --no-verify sdxl.safetensors $naming.safetensors >/dev/null
done
cmp original.safetensors diffusers.safetensors && config original.safetensors
"$QCONV" verify -q --against sdxl.safetensors original.safetensors | head -n 5 | cut -c 1-72
run $to --keep ff.net.2 sdxl.safetensors out.safetensors
run $to --layers 'svdq_fp4:attn2\.to_k' sdxl.safetensors out.safetensors

echo "- the folder of older versions, which becomes one file again"
run $to -o folder flux.safetensors folder | without_times
ls folder
"$QCONV" $to flux.safetensors one.safetensors >/dev/null
for file in folder/config.json folder/comfy_config.json; do
  sed 's/.*\(, "[a-z_]*":[^,]*\)$/  …\1/' $file
  echo
done
run verify folder
"$QCONV" $to folder again.safetensors >/dev/null
cmp one.safetensors again.safetensors && echo "the same bytes"
rm -r folder svdq* 2>/dev/null
"$QCONV" $to -o folder flux.safetensors >/dev/null && ls -d svdq*
run --to svdq-fp4-nunchaku -o folder -q flux.safetensors
run $to -o folder --split 1M flux.safetensors x
run $to -o folder z.safetensors x
