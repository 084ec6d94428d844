#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# usage: bench-tensors.sh BUILDDIR [TENSORS [BOUND]]
# Measures the memory and the time that a conversion takes for each tensor, whatever its size: converts models of TENSORS
# and of half as many small tensors. Fails if a tensor of the input or of the output takes more than BOUND bytes.
set -eu

build=$(cd "${1:?usage: bench-tensors.sh BUILDDIR [TENSORS [BOUND]]}" && pwd)
tensors=${2:-200000}
bound=${3:-2560}
scratch=$(mktemp -d "$build/bench-XXXXXX")
trap 'rm -rf "$scratch"' EXIT
export QCONV_PLUGIN_PATH="$build/plugins"
QCONV_DATA_PATH=$(cd "$(dirname "$0")/../../data" && pwd)
export QCONV_DATA_PATH

for n in "$tensors" $((tensors / 2)); do
  "$build/tests/generator/make-model" --layers "$n" --rows 16 --cols 16 "$scratch/$n.safetensors"
done
python3 - "$tensors" "$bound" "$scratch" "$build/core/cli/qconv" <<'END'
import os
import subprocess
import sys
import time

tensors, bound = map(int, sys.argv[1:3])
scratch, qconv = sys.argv[3:5]


def measure(n, arguments):
    """Returns seconds and peak bytes."""
    start = time.monotonic()
    paths = [f"{scratch}/{n}.safetensors", f"{scratch}/out.safetensors"]
    command = [qconv, *arguments, *paths]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status != 0:
        sys.exit(f"{' '.join(command)}: status {status}")
    return time.monotonic() - start, usage.ru_maxrss * 1024


failed = False
# The tensors of both files for one layer: it is copied, or becomes weight, two scales and a marker
for rules, n_tensors in (["keep:."], 2), (["nvfp4:."], 5):
    arguments = ["--to", "nvfp4-comfy", "--force", "--progress", "none", "--layers", *rules]
    few, many = measure(tensors // 2, arguments), measure(tensors, arguments)
    each = (many[1] - few[1]) / (tensors - tensors // 2) / n_tensors
    failed = failed or each > bound
    print(f"--layers {rules[0]}: {tensors} tensors {many[0]:.1f} s, {many[1] >> 20} MiB; each {each:.0f} of {bound} bytes")
sys.exit(failed)
END
