#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# usage: broken.sh QCONV PLUGIN-CHECK MAKE-MODEL FOLDER
# Converts with each broken plugin of FOLDER. qconv must say in one line which plugin breaks its promise, end with a status
# that is not 0, leave no file, and neither crash nor wait; qconv-plugin-check must find the plugin.
qconv=$1
check=$2
make_model=$3
modules=$4
others=$QCONV_PLUGIN_PATH
scratch=$(mktemp -d) || exit 99
trap 'rm -rf "$scratch"' EXIT
n=0
rc=0

result ()
{
  n=$((n + 1))
  if [ "$1" -eq 0 ]; then
    echo "ok $n - $2"
  else
    echo "not ok $n - $2"
    sed 's/^/# /' "$scratch/said"
    rc=1
  fi
}

# broken NAME STATUS LINE [argument...]: @ in LINE is the name of the plugin
broken ()
{
  plugin=broken_$1
  status=$2
  line=$(printf '%s' "$3" | sed "s/@/$plugin/g")
  shift 3
  rm -rf "$scratch/plugins" "$scratch/out"
  mkdir "$scratch/plugins" "$scratch/out" || exit 99
  ln -s "$modules/$plugin.so" "$scratch/plugins"
  QCONV_PLUGIN_PATH=$scratch/plugins:$others
  export QCONV_PLUGIN_PATH
  (cd "$scratch/out" && timeout 60 "$qconv" "$@" >/dev/null 2>"$scratch/said" </dev/null)
  got=$?
  echo "status $got instead of $status" >>"$scratch/said"
  [ $got -eq "$status" ]
  result $? "$plugin: the status is $status"
  sed -i "/^qconv: warning: this model is of no known family/d" "$scratch/said"
  [ "$(wc -l <"$scratch/said")" -eq 2 ] && head -n 1 "$scratch/said" | grep -qx "$line"
  result $? "$plugin: one line says what is wrong"
  [ -z "$(ls -A "$scratch/out")" ]
  result $? "$plugin: no file is left"
  QCONV_PLUGIN_PATH=$others timeout 120 "$check" "$modules/$plugin.so" "$model" >"$scratch/said" 2>&1
  got=$?
  [ $got -eq 4 ] && ! grep -q 'crashed\|still running' "$scratch/said"
  result $? "$plugin: qconv-plugin-check finds it"
}

model=$scratch/in.safetensors
"$make_model" --layers 2 --rows 256 --cols 512 "$model" || exit 99

convert ()
{
  name=$1
  status=$2
  line=$3
  shift 3
  broken "$name" "$status" "$line" --to "broken_$name-broken_$name" "$@" "$model" out
}

convert encode_silent 1 'qconv: layer "[^"]*": .*@.*encode.*'
convert encode_both 1 'qconv: layer "[^"]*": .*@.*encode.*'
convert layer_silent 1 'qconv: .*@.*layer.*'
convert encode_only 1 'qconv: .*@.*'
convert runs 1 'qconv: .*@.*'
convert components_twice 1 'qconv: .*@.*'
convert components_dtype 1 'qconv: .*@.*'
convert bound_nan 1 'qconv: .*@.*'
convert layout 1 'qconv: .*@.*'
convert beyond 1 'qconv: .*@.*'
convert unset 4 'qconv: .*@.*'
convert load_unset 4 'qconv: .*@.*'
broken claim_no_rows 1 'qconv: .*@.*' --to f32-safetensors "$model" out
broken claim_foreign 1 'qconv: .*@.*' --to f32-safetensors "$model" out
broken duplicate 0 'qconv: .*@.*' targets

echo "1..$n"
exit $rc
