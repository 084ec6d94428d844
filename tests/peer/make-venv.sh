#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# usage: make-venv.sh FOLDER small|large
# Makes a virtual environment with the Python packages that qconv is compared with. If that fails, FOLDER.reason says
# why, and the peer tests are skipped with that reason.
set -u

venv=${1:?usage: make-venv.sh FOLDER small|large}
size=${2:?usage: make-venv.sh FOLDER small|large}
packages="numpy gguf safetensors ml_dtypes"
modules="numpy, gguf, safetensors, ml_dtypes"
if [ "$size" = large ]; then
  packages="$packages torch packaging comfy-kitchen convert-to-quant==1.3.4 bitsandbytes scipy"
  modules="$modules, torch, comfy_kitchen, convert_to_quant, bitsandbytes, scipy"
fi

if [ -x "$venv/bin/python" ] && "$venv/bin/python" -c "import $modules" 2>/dev/null; then
  exit 0
fi
rm -f "$venv.reason"
# shellcheck disable=SC2086 # a list of words
if python3 -m venv "$venv" >"$venv.log" 2>&1 \
    && "$venv/bin/python" -m pip install -q --disable-pip-version-check $packages >>"$venv.log" 2>&1 \
    && "$venv/bin/python" -c "import $modules" >>"$venv.log" 2>&1; then
  exit 0
fi
echo "the Python packages cannot be installed: $(tail -n 1 "$venv.log")" | tee "$venv.reason"
exit 1
