#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# usage: bench-file.sh BUILDDIR [MIB [PAIRS [FOLDER]]]
# Times a conversion of BF16 to nvfp4-comfy (plain rounding, two threads, no check) against a copy of the input; both sync
# what they write and read from a warm cache. Conversions and copies alternate; the result is the median of the ratios.
set -eu

build=$(cd "${1:?usage: bench-file.sh BUILDDIR [MIB [PAIRS [FOLDER]]]}" && pwd)
mib=${2:-2048}
pairs=${3:-5}
scratch=$(mktemp -d "${4:-$build}/bench-XXXXXX")
trap 'rm -rf "$scratch"' EXIT
export QCONV_PLUGIN_PATH="$build/plugins"
QCONV_DATA_PATH=$(cd "$(dirname "$0")/../../data" && pwd)
export QCONV_DATA_PATH

# seconds COMMAND…: prints the wall time; earlier writes are synced first
seconds ()
{
  sync
  start=$(date +%s.%N)
  "$@" >/dev/null
  end=$(date +%s.%N)
  awk -v a="$start" -v b="$end" 'BEGIN { printf "%.3f", b - a }'
}

copy ()
{
  cp --reflink=never "$scratch/in.safetensors" "$scratch/copy.safetensors"
  sync "$scratch/copy.safetensors"
}

convert ()
{
  "$build/core/cli/qconv" --to nvfp4-comfy --effort rtn --no-verify -j2 --force --progress none \
    "$scratch/in.safetensors" "$scratch/out.safetensors"
  sync "$scratch/out.safetensors"
}

"$build/tests/generator/make-model" --layers $((mib / 32)) --rows 4096 --cols 4096 "$scratch/in.safetensors"
cat "$scratch/in.safetensors" >/dev/null
i=0
while [ $i -lt "$pairs" ]; do
  c=$(seconds copy)
  rm -f "$scratch/copy.safetensors"
  q=$(seconds convert)
  rm -f "$scratch/out.safetensors"
  awk -v c="$c" -v q="$q" -v m="$mib" \
    'BEGIN { printf "copy %.2f s (%.0f MiB/s), qconv %.2f s (%.0f MiB/s), ratio %.3f\n", c, m / c, q, m / q, q / c }'
  i=$((i + 1))
done | tee "$scratch/results"
sed 's/.*ratio //' "$scratch/results" | sort -n | awk '{ v[NR] = $1 }
  END { if (!NR) exit 1; printf "median ratio %.3f of %d pairs\n", NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2, NR }'
