#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# usage: bench-memory.sh BUILDDIR [MIB [MEMORY [BOUND [FOLDER]]]]
# Measures the peak resident memory of a conversion. It must stay below --memory and 64 MiB, whatever the size of the
# model. Sizes are in MiB.
set -eu

build=$(cd "${1:?usage: bench-memory.sh BUILDDIR [MIB [MEMORY [BOUND [FOLDER]]]]}" && pwd)
mib=${2:-8192}
memory=${3:-256}
bound=${4:-$((memory + 64))}
scratch=$(mktemp -d "${5:-$build}/bench-XXXXXX")
trap 'rm -rf "$scratch"' EXIT
export QCONV_PLUGIN_PATH="$build/plugins"
QCONV_DATA_PATH=$(cd "$(dirname "$0")/../../data" && pwd)
export QCONV_DATA_PATH

"$build/tests/generator/make-model" --layers $((mib / 32)) --rows 4096 --cols 4096 "$scratch/in.safetensors"
python3 - "$mib" "$memory" "$bound" "$build/core/cli/qconv" --to nvfp4-comfy --progress none "--memory=${memory}M" \
  "$scratch/in.safetensors" "$scratch/out.safetensors" <<'END'
import resource
import subprocess
import sys
import time

size, memory, bound = map(int, sys.argv[1:4])
start = time.monotonic()
done = subprocess.run(sys.argv[4:], stdout=subprocess.DEVNULL, check=False)
peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
print(f"{size} MiB with --memory {memory}M: peak {peak:.0f} MiB of {bound} MiB, {time.monotonic() - start:.1f} s")
sys.exit(done.returncode or peak > bound)
END
