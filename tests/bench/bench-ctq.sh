#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# usage: bench-ctq.sh BUILDDIR [MIB [ROUNDS [FOLDER]]]
# The same file to NVFP4 with qconv and with convert-to-quant on the CPU without its search: once with plain rounding and
# no check, once with qconv's default search and its check. Takes the Python environment of `tests/run.sh --peers`.
set -eu

build=$(cd "${1:?usage: bench-ctq.sh BUILDDIR [MIB [ROUNDS [FOLDER]]]}" && pwd)
mib=${2:-1024}
rounds=${3:-3}
scratch=$(mktemp -d "${4:-$build}/bench-XXXXXX")
trap 'rm -rf "$scratch"' EXIT
ctq=$build/peer-venv/bin/convert_to_quant
export QCONV_PLUGIN_PATH="$build/plugins"
QCONV_DATA_PATH=$(cd "$(dirname "$0")/../../data" && pwd)
export QCONV_DATA_PATH
[ -x "$ctq" ] || { echo "bench-ctq.sh: $ctq is not there: run tests/run.sh --peers first" >&2; exit 77; }

seconds ()
{
  rm -f "$scratch/qconv.safetensors" "$scratch/ctq.safetensors"
  sync # what was written before is not measured
  start=$(date +%s.%N)
  "$@" >"$scratch/said" 2>&1 || { cat "$scratch/said" >&2; exit 1; }
  end=$(date +%s.%N)
  awk -v a="$start" -v b="$end" 'BEGIN { printf "%.3f", b - a }'
}

"$build/tests/generator/make-model" --layers $((mib / 32)) --rows 4096 --cols 4096 --prefix blocks. \
  "$scratch/in.safetensors"
cat "$scratch/in.safetensors" >/dev/null
# One run that does not count: the machine's first use of the file is slower
"$build/core/cli/qconv" --to nvfp4-comfy --effort rtn --no-verify --progress none \
  "$scratch/in.safetensors" "$scratch/qconv.safetensors" >/dev/null
i=0
while [ $i -lt "$rounds" ]; do
  r=$(seconds "$build/core/cli/qconv" --to nvfp4-comfy --effort rtn --no-verify --force --progress none \
    "$scratch/in.safetensors" "$scratch/qconv.safetensors")
  s=$(seconds "$build/core/cli/qconv" --to nvfp4-comfy --force --progress none \
    "$scratch/in.safetensors" "$scratch/qconv.safetensors")
  c=$(seconds "$ctq" -i "$scratch/in.safetensors" -o "$scratch/ctq.safetensors" --nvfp4 --comfy_quant --simple \
    --low-memory --device cpu)
  awk -v c="$c" -v r="$r" -v s="$s" 'BEGIN {
    printf "convert-to-quant %.2f s; rtn, no check %.2f s, %.1f times; search and check %.2f s, %.1f times\n",
      c, r, c / r, s, c / s }'
  i=$((i + 1))
done
ls -l "$scratch"/*.safetensors
