# SPDX-License-Identifier: LGPL-2.1-or-later
# What a conversion says it did or would do: a dry run ends as the run, sums by scheme, results as JSON
. "$LIB"
need_target nvfp4-comfy
make_model in.safetensors

# Runs the conversion and its dry run: error and exit status must be the same
both ()
{
  run --to nvfp4-comfy "$@" | grep -e '^[!=$]' | grep -v warning
  run --to nvfp4-comfy --dry-run "$@" | grep -e '^[!=]' | grep -v warning
}

echo "- a dry run ends as the run"
cp in.safetensors taken.safetensors
mkdir -p folder.safetensors/in-nvfp4-comfy.safetensors
ln in.safetensors link.safetensors
both in.safetensors taken.safetensors
both in.safetensors missing/out.safetensors
both in.safetensors in.safetensors/out.safetensors
both in.safetensors /dev/stdout
both in.safetensors folder.safetensors/
both --force in.safetensors in.safetensors
both --force in.safetensors link.safetensors
both in.safetensors nowhere/
mkdir -p hub/models--org--name/snapshots/0a1b
cp in.safetensors hub/models--org--name/snapshots/0a1b/model.safetensors
(
  cd hub/models--org--name/snapshots/0a1b || exit 1
  both model.safetensors
)
run edit --dry-run in.safetensors taken.safetensors --metadata format=pt | grep -e '^[!=]'
echo "but the plan is shown, and a template needs no output"
cp in.safetensors in-nvfp4-comfy.safetensors
run --to nvfp4-comfy --dry-run in.safetensors
run --to nvfp4-comfy --dry-run --template in.safetensors | tail -3
rm -r folder.safetensors hub link.safetensors in-nvfp4-comfy.safetensors

echo "- sums by scheme"
"$QCONV" --to nvfp4-comfy in.safetensors nvfp4.safetensors --keep '[.]0$' >/dev/null 2>&1
run --to nvfp4-comfy --dry-run --layers 'fp8:[.]3$' in.safetensors out.safetensors
run --to nvfp4-comfy --dry-run nvfp4.safetensors out.safetensors
"$QCONV" --to nvfp4-comfy --dry-run --json nvfp4.safetensors out.safetensors >plan
wc -l <plan
"$CHECK_JSON" . input output target family variant input_bytes output_bytes peak_memory ok error warnings/0 schemes \
  schemes/0 schemes/0/scheme schemes/0/layers schemes/0/how schemes/0/how/move schemes/0/input_bytes schemes/0/bytes \
  schemes/1/scheme schemes/1/how/copy layers layers/0 layers/1/how <plan
"$QCONV" --to nvfp4-comfy --dry-run --json in.safetensors taken.safetensors 2>/dev/null | "$CHECK_JSON" . ok error
"$QCONV" --to nvfp4-comfy --dry-run --json in.safetensors missing/out.safetensors 2>/dev/null \
  | "$CHECK_JSON" output ok error schemes/0/layers

echo "- the result as JSON"
"$QCONV" --to nvfp4-comfy --json in.safetensors out.safetensors --keep '[.]0$' >result 2>/dev/null
wc -l <result
"$CHECK_JSON" . input output target family variant input_bytes output_bytes ok error warnings warnings/0 problems \
  schemes/0/scheme schemes/0/how/copy schemes/1/how/encode layers layers/0 layers/0/name layers/0/scheme \
  layers/0/relmse layers/1/scheme <result
grep -c '"seconds":[0-9]' result
echo "- several inputs, one line each"
echo "no model" >bad.safetensors
mkdir out
"$QCONV" --to nvfp4-comfy --json --progress none bad.safetensors in.safetensors taken.safetensors out >results 2>/dev/null
echo "= $?"
wc -l <results
"$CHECK_JSON" --lines input output target family variant input_bytes output_bytes seconds ok error warnings problems \
  schemes layers <results
sed -n 1p results | "$CHECK_JSON" . input output target ok error seconds
sed -n 3p results | "$CHECK_JSON" input output ok error
rm plan result results

echo "- many warnings of one kind are one line"
# Writes eight scaled FP8 layers without the marker that the file needs
unmarked ()
{
  header='{' offset=0
  for i in 0 1 2 3 4 5 6 7; do
    header="$header\"layers.$i.weight\":{\"dtype\":\"F8_E4M3\",\"shape\":[16,64],\"data_offsets\":[$offset,$((offset + 1024))]},"
    header="$header\"layers.$i.scale_weight\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[$((offset + 1024)),$((offset + 1028))]},"
    offset=$((offset + 1028))
  done
  header="${header%,}}"
  n=${#header}
  printf "\\$(printf %03o $((n % 256)))\\$(printf %03o $((n / 256)))\\0\\0\\0\\0\\0\\0%s" "$header"
  for i in 0 1 2 3 4 5 6 7; do
    head -c 1024 /dev/zero
    printf '\0\0\200\077'
  done
}
unmarked >unmarked.safetensors
run inspect unmarked.safetensors | grep '!'
list
