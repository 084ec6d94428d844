#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# usage: demo.sh [--no-install]
# Builds qconv, makes a small Wan model as GGUF Q8_0, converts it to NVFP4 for ComfyUI, and inspects the result.
set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
build=$root/build
install=yes

for word; do
  case $word in
  --no-install) install=no ;;
  *) echo "usage: demo.sh [--no-install]" >&2; exit 2 ;;
  esac
done

say ()
{
  printf '\n== %s\n' "$*"
}

if [ "$install" = yes ]; then
  say "packages"
  sh "$root/data/install-packages.sh" build
fi

say "build"
if [ -f "$build/build.ninja" ]; then
  meson configure "$build" -Dtests=true
else
  meson setup "$build" "$root"
fi
meson compile -C "$build" demo

demo=$build/demo
mkdir -p "$demo"
export QCONV_DATA_PATH="$root/data"
export QCONV_PLUGIN_PATH="$build/plugins"
PATH=$build/core/cli:$PATH

say "a small Wan 2.2 model as GGUF Q8_0"
"$build/tests/generator/make-model" --family wan --variant tiny-t2v --format gguf --type q8_0 "$demo/wan2.2-tiny-Q8_0.gguf"
ls -l "$demo/wan2.2-tiny-Q8_0.gguf"

say "qconv --from gguf --to nvfp4-comfy"
qconv --from gguf --to nvfp4-comfy "$demo/wan2.2-tiny-Q8_0.gguf" "$demo/wan2.2-tiny-nvfp4.safetensors" --force

say "qconv inspect"
qconv inspect "$demo/wan2.2-tiny-nvfp4.safetensors"
