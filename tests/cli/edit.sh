# SPDX-License-Identifier: LGPL-2.1-or-later
# Edits of markers, input scales and metadata
. "$LIB"
need_target nvfp4-comfy
only_families
make_model in.safetensors
"$QCONV" --to nvfp4-comfy in.safetensors model.safetensors >/dev/null

# Prints the layers of a file, and whether they decode to the same weights as those of the model
weights ()
{
  "$QCONV" inspect --json "$1" | "$CHECK_JSON" format layers/0/scheme layers/0/bytes tensors
  for file in model.safetensors "$1"; do
    "$QCONV" --to f32-safetensors "$file" "decoded-$file" --force >/dev/null || exit 1
  done
  cmp "decoded-model.safetensors" "decoded-$1" && echo "the same weights"
}

echo "unknown keys:"
run edit model.safetensors out.safetensors --set full_precision_matrix_mul=true
run edit model.safetensors out.safetensors --add note=text
run edit model.safetensors out.safetensors --metadata author=me
run edit model.safetensors --metadata confg={}
list
run edit model.safetensors out.safetensors --set full_precision_matrix_mult=true --set note=text --only '[.]1$' --force \
  | without_times
strings -n 20 out.safetensors | grep -o '{"format": "nvfp4"[^}]*}' | sort | uniq -c | sed 's/^ *//'
"$QCONV" inspect out.safetensors | grep -A5 markers
"$QCONV" inspect --json out.safetensors | "$CHECK_JSON" layers/0/markers layers/1/markers layers/1/markers/note
weights model.safetensors
weights out.safetensors
run verify out.safetensors
echo "back again, in place:"
run edit out.safetensors --remove full_precision_matrix_mult --remove note | without_times
cmp model.safetensors out.safetensors && echo "as it was"
echo "input scales:"
run edit out.safetensors --input-scale 0.25 | without_times
run edit out.safetensors --input-scale 0.5 --dry-run | grep input_scale
weights out.safetensors
run edit out.safetensors --input-scale none | without_times
cmp model.safetensors out.safetensors && echo "as it was"
echo "metadata:"
run edit out.safetensors --metadata author=me --metadata format --force | without_times
run edit out.safetensors --metadata author=you --dry-run | grep author
"$QCONV" inspect out.safetensors | grep -A3 '^  metadata'
"$QCONV" inspect --json out.safetensors | "$CHECK_JSON" metadata/author
run edit out.safetensors --metadata author --metadata format=pt | without_times
cmp model.safetensors out.safetensors && echo "as it was"
echo "a dry run writes nothing:"
run edit --dry-run out.safetensors --set a=1 --force
cmp model.safetensors out.safetensors && echo "as it was"
echo "nothing changes:"
run edit out.safetensors --set full_precision_matrix_mult=true >/dev/null
before=$(stat -c '%i %Y %Z' out.safetensors)
sleep 1
run edit out.safetensors
run edit out.safetensors --set full_precision_matrix_mult=true
run edit out.safetensors --add full_precision_matrix_mult=false
run edit out.safetensors --metadata format=pt
run edit out.safetensors --input-scale none
run edit out.safetensors -o full-precision-mm=on
run edit out.safetensors --dry-run | tail -1
[ "$(stat -c '%i %Y %Z' out.safetensors)" = "$before" ] && echo "untouched"
"$QCONV" edit --json out.safetensors --set full_precision_matrix_mult=true | "$CHECK_JSON" ok changes output seconds
run edit out.safetensors copy.safetensors | without_times
cmp out.safetensors copy.safetensors && echo "a copy"
echo "an option of the writer:"
run edit out.safetensors --dry-run -o full-precision-mm=off | grep marker
"$QCONV" edit --json out.safetensors --remove full_precision_matrix_mult | "$CHECK_JSON" ok changes changes/0
cmp model.safetensors out.safetensors && echo "as it was"
run edit out.safetensors model.safetensors
run edit out.safetensors --remove nothing
run edit out.safetensors --remove
run edit out.safetensors --set key
run edit out.safetensors --set format=fp8
run edit out.safetensors --set a=1 --force --only 'no layer is called so'
run edit in.safetensors --set a=1
run edit in.safetensors --effort rtn
cmp model.safetensors out.safetensors && echo "as it was"
echo "high precision:"
run --to nvfp4-comfy --hp-filter '[.]1$' in.safetensors hp.safetensors
run --to bf16-safetensors --hp-filter '[.]1$' model.safetensors hp.safetensors
run --to nvfp4-comfy --hp-filter '[.]1$' --keep '[.]1$' in.safetensors hp.safetensors | without_times
run --to nvfp4-comfy --hp-filter 'no layer is called so' in.safetensors bad.safetensors
rm decoded-* copy.safetensors
list
