#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# usage: broken.sh QCONV PLUGIN-CHECK MAKE-MODEL FOLDER ASSERTIONS
# Converts with each broken plugin of FOLDER. qconv must say in one line which plugin breaks its promise, end with a
# status that is not 0, leave no file, and neither crash nor wait; qconv-plugin-check must find the plugin. ASSERTIONS:
# true if qconv was built with them.
qconv=$1
check=$2
make_model=$3
modules=$4
assertions=$5
others=$QCONV_PLUGIN_PATH
scratch=$(mktemp -d) || exit 99
trap 'rm -rf "$scratch"' EXIT
. "$(dirname "$0")/../tap.sh"

# The model is of no family. Without files of families the programs start faster, qconv-plugin-check in each child, too
mkdir -p "$scratch/data/families" || exit 99
ln -s "$QCONV_DATA_PATH/families/generic.json" "$scratch/data/families" || exit 99
ln -s "$QCONV_DATA_PATH/lora" "$scratch/data" || exit 99
QCONV_DATA_PATH=$scratch/data
export QCONV_DATA_PATH

# offer NAME: the plugin and all others of the build, but no other broken one
offer ()
{
  plugin=broken_$1
  rm -rf "$scratch/plugins" "$scratch/out"
  mkdir "$scratch/plugins" "$scratch/out" || exit 99
  ln -s "$modules/$plugin.so" "$scratch/plugins"
  QCONV_PLUGIN_PATH=$scratch/plugins:$others
  export QCONV_PLUGIN_PATH
}

# run_qconv STATUS [argument...]: in an empty folder
run_qconv ()
{
  status=$1
  shift
  (cd "$scratch/out" && timeout 60 "$qconv" "$@" >"$scratch/printed" 2>"$scratch/said" </dev/null)
  got=$?
  # What is said of every such model
  sed -i '/^qconv: warning: this model is of no known family/d' "$scratch/said"
  [ $got -eq "$status" ]
  ok=$?
  [ $ok -eq 0 ] || echo "the status is $got" >>"$scratch/said"
  result $ok "$plugin: the status is $status"
}

finds_it ()
{
  QCONV_PLUGIN_PATH=$others timeout 120 "$check" "$modules/$plugin.so" "$scratch/in.safetensors" >"$scratch/said" 2>&1
  got=$?
  [ $got -eq 4 ] && ! grep -q 'crashed\|still running' "$scratch/said"
  result $? "$plugin: qconv-plugin-check finds it"
}

# broken NAME STATUS LINE [argument...]: @ in LINE is the name of the plugin; the arguments are those of qconv
broken ()
{
  offer "$1"
  line=$(printf '%s' "$3" | sed "s/@/$plugin/g")
  status=$2
  shift 3
  run_qconv "$status" "$@"
  [ "$(wc -l <"$scratch/said")" -eq 1 ] && grep -qEx "$line" "$scratch/said"
  result $? "$plugin: one line says what is wrong"
  [ -z "$(ls -A "$scratch/out")" ]
  result $? "$plugin: no file is left"
  finds_it
}

# convert NAME STATUS LINE: to the target of the plugin
convert ()
{
  broken "$1" "$2" "$3" --to "broken_$1-broken_$1" ../in.safetensors out
}

"$make_model" --layers 2 --rows 256 --cols 512 "$scratch/in.safetensors" || exit 99
in='qconv: ../in.safetensors:'
layer="$in layer \"layers.[01]\": plugin @:"

convert encode_silent 1 "$layer encode\(\) of quantizer \"@\" returned FALSE, but set no error"
convert encode_both 1 "$layer encode\(\) of quantizer \"@\" returned TRUE, but set an error: the codes are in doubt"
convert layer_silent 1 "$layer layer\(\) of writer \"@\" returned FALSE, but set no error"
convert runs 1 "$layer components\(\) of quantizer \"@\" gives component scale runs that do not fit its shape"
convert components_twice 1 "$layer components\(\) of quantizer \"@\" lists component codes twice"
convert components_dtype 1 "$layer components\(\) of quantizer \"@\" gives component scale an unknown type, rank or flag"
convert bound_nan 1 "qconv: layer \"layers.0\": plugin @: bound\(\) of quantizer \"@\" returned nan"
convert layout 1 \
  "$in plugin @: lay_out\(\) of container \"@\" puts tensor \"layers.0.codes\" over the header or over another tensor"
broken parts 1 "$in plugin @: part_name\(\) of container \"@\" makes the name \"out.part\" twice" \
  --to broken_parts-broken_parts --split 100K ../in.safetensors out
convert unset 4 \
  'qconv: out: the written file failed its check: layers.0: relative MSE .* is beyond the bound 0.01 of @ \(2 problems\)'
convert load_unset 4 \
  'qconv: out: the written file failed its check: layers.0: relative MSE .* is beyond the bound 0.01 of @ \(2 problems\)'
# Only builds with assertions have guard zones without being asked
if [ "$assertions" = true ]; then
  convert beyond 1 "$layer encode\(\) of quantizer \"@\" wrote beyond a buffer"
else
  offer beyond
  finds_it
fi
broken claim_no_rows 3 \
  "$in layer \"layer\": reader \"@\" claims it without rows or columns, but its tensors hold 262144 bytes" \
  --to f32-safetensors ../in.safetensors out
broken claim_foreign 1 \
  "$in layer \"layer\": plugin @: claim\(\) of reader \"@\" binds a tensor that is not of the directory" \
  --to f32-safetensors ../in.safetensors out
broken duplicate 0 \
  "qconv: warning: plugin .*/fp8.so: quantizer \"fp8\" is left out: plugin @ \(.*/@.so\) has that id" targets

# A scheme that nothing decodes may be encoded, but its numbers cannot be compared: the report has no error for it
offer encode_only
run_qconv 0 --to broken_encode_only-broken_encode_only ../in.safetensors out
cat "$scratch/printed" >>"$scratch/said"
grep -qE '^  broken_encode_only +2 +.* - +- +- +-$' "$scratch/printed"
result $? "$plugin: the report says that no number was compared"
run_qconv 3 --to f32-safetensors out again
[ "$(ls -A "$scratch/out")" = out ]
result $? "$plugin: no second file is left"
finds_it

# The program does not see what a hook allocates; the bytes are right
offer hoard
run_qconv 0 --to broken_hoard-broken_hoard ../in.safetensors out
QCONV_PLUGIN_PATH=$others timeout 120 "$check" "$modules/$plugin.so" "$scratch/in.safetensors" >"$scratch/said" 2>&1
got=$?
# Sanitizers take memory of their own: their builds skip the row
grep -q '# SKIP the sanitizer takes memory of its own' "$scratch/said" || {
  [ $got -eq 4 ] &&
    grep -qE '^# [0-9]+ KiB of memory were taken, the plan states [0-9]+: a hook allocates more' "$scratch/said"
}
result $? "$plugin: the row says how much memory was taken"

# What the program says of itself
expect ()
{
  status=$1
  line=$2
  shift 2
  "$check" "$@" >"$scratch/said" 2>&1
  [ $? -eq "$status" ] && grep -qE "$line" "$scratch/said"
  result $? "qconv-plugin-check ends with $status: $line"
}

echo "no module" >"$scratch/garbage.so"
expect 1 '^qconv-plugin-check: .*garbage.so' "$scratch/garbage.so"
expect 2 '^qconv-plugin-check: .*nowhere.so does not exist$' nowhere.so
expect 2 '^qconv-plugin-check: usage: qconv-plugin-check FILE.so \[SAMPLE\.\.\.\]$'
expect 2 '^qconv-plugin-check: usage:' "$scratch/in.safetensors"
expect 0 '^qconv-plugin-check [0-9]' --version

# Nothing can be said of a crash by the program that crashes
offer crash
QCONV_PLUGIN_PATH=$others timeout 120 "$check" "$modules/$plugin.so" >"$scratch/said" 2>&1
[ $? -eq 4 ]
result $? "$plugin: qconv-plugin-check survives it"
grep -A 1 "^not ok .* - target $plugin-$plugin: decoding" "$scratch/said" | grep -qE '^# .*(crashed: |ended the process)'
result $? "$plugin: the row says what it did last"
grep -q '^ok .* odd shapes' "$scratch/said" || grep -q '^not ok .* odd shapes' "$scratch/said"
result $? "$plugin: the rows behind it run"

echo "1..$n"
exit $rc
