#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# usage: bench-ctq.sh BUILDDIR [MIB [ROUNDS [SCHEMES [FOLDER]]]]
# Times qconv against convert-to-quant (on the CPU, without its search) on the same file: once with plain rounding and no
# check, once with qconv's default effort and its check. SCHEMES: a list in quotes of nvfp4, fp8 and int8 (row scales,
# rotated); all by default. Needs the Python environment that `tests/run.sh --peers` makes.
set -eu

build=$(cd "${1:?usage: bench-ctq.sh BUILDDIR [MIB [ROUNDS [SCHEMES [FOLDER]]]]}" && pwd)
mib=${2:-1024}
rounds=${3:-3}
schemes=${4:-nvfp4 fp8 int8}
scratch=$(mktemp -d "${5:-$build}/bench-XXXXXX")
trap 'rm -rf "$scratch"' EXIT
ctq=$build/peer-venv/bin/convert_to_quant
export QCONV_PLUGIN_PATH="$build/plugins"
QCONV_DATA_PATH=$(cd "$(dirname "$0")/../../data" && pwd)
export QCONV_DATA_PATH
[ -x "$ctq" ] || { echo "bench-ctq.sh: $ctq is missing: run tests/run.sh --peers first" >&2; exit 77; }

seconds ()
{
  rm -f "$scratch/qconv.safetensors" "$scratch/ctq.safetensors"
  sync # earlier writes are not measured
  start=$(date +%s.%N)
  "$@" >"$scratch/said" 2>&1 || { cat "$scratch/said" >&2; exit 1; }
  end=$(date +%s.%N)
  awk -v a="$start" -v b="$end" 'BEGIN { printf "%.3f", b - a }'
}

"$build/tests/generator/make-model" --layers $((mib / 32)) --rows 4096 --cols 4096 --prefix blocks. \
  "$scratch/in.safetensors"
cat "$scratch/in.safetensors" >/dev/null
# The first use of a file is slower: one run is not measured
"$build/core/cli/qconv" --to nvfp4-comfy --effort rtn --no-verify --progress none \
  "$scratch/in.safetensors" "$scratch/qconv.safetensors" >/dev/null
# Options of either program for a scheme
ours ()
{
  case $1 in
  nvfp4) echo "--to nvfp4-comfy" ;;
  fp8) echo "--to fp8-comfy" ;;
  int8) echo "--to int8-comfy -o convrot=256" ;;
  esac
}

theirs ()
{
  case $1 in
  nvfp4) echo "--nvfp4" ;;
  fp8) echo "" ;;
  int8) echo "--int8 --scaling_mode row --convrot" ;;
  esac
}

# INT8 has no effort
plain_rounding ()
{
  [ "$1" = int8 ] || echo "--effort rtn"
}

for scheme in $schemes; do
  i=0
  while [ $i -lt "$rounds" ]; do
    # shellcheck disable=SC2046 # lists of words
    r=$(seconds "$build/core/cli/qconv" $(ours "$scheme") $(plain_rounding "$scheme") --no-verify --force \
      --progress none "$scratch/in.safetensors" "$scratch/qconv.safetensors")
    # shellcheck disable=SC2046
    s=$(seconds "$build/core/cli/qconv" $(ours "$scheme") --force --progress none \
      "$scratch/in.safetensors" "$scratch/qconv.safetensors")
    # shellcheck disable=SC2046
    c=$(seconds "$ctq" -i "$scratch/in.safetensors" -o "$scratch/ctq.safetensors" $(theirs "$scheme") --comfy_quant \
      --simple --low-memory --device cpu)
    awk -v n="$scheme" -v c="$c" -v r="$r" -v s="$s" 'BEGIN {
      printf "%s: convert-to-quant %.2f s; rtn, no check %.2f s, %.1f times; default and check %.2f s, %.1f times\n",
        n, c, r, c / r, s, c / s }'
    i=$((i + 1))
  done
done
ls -l "$scratch"/*.safetensors
