#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# usage: third-party.sh SRCDIR BUILDDIR CC
# Builds a plugin outside the tree with the installed headers alone; qconv must find and use it. Broken modules must be
# skipped with one line each that names them, and of a module with ids that are taken only these features.
src=$1
build=$2
cc=${3:-cc}
scratch=$(mktemp -d) || exit 99
trap 'rm -rf "$scratch"' EXIT
. "$(dirname "$0")/tap.sh"

give_up ()
{
  result 1 "$1"
  echo "1..$n"
  exit 1
}

# Everything as installed, in a folder of its own
meson install -C "$build" --no-rebuild --quiet --destdir "$scratch/dest" >"$scratch/said" 2>&1 || give_up "install"
pc=$(find "$scratch/dest" -name qconv-plugin.pc | head -n 1)
[ -n "$pc" ] || give_up "qconv-plugin.pc is installed"
result 0 "install"
for file in "$(dirname "$pc")"/*.pc; do
  sed -i "s,^prefix=,prefix=$scratch/dest," "$file"
done
PKG_CONFIG_PATH=$(dirname "$pc")${PKG_CONFIG_PATH:+:$PKG_CONFIG_PATH}
export PKG_CONFIG_PATH
LD_LIBRARY_PATH=$(pkg-config --variable=libdir qconv)
export LD_LIBRARY_PATH
qconv=$(pkg-config --variable=prefix qconv)/bin/qconv
QCONV_DATA_PATH=$(pkg-config --variable=datadir qconv)
export QCONV_DATA_PATH
installed=$(pkg-config --variable=pluginsdir qconv-plugin)
[ -x "$qconv" ] && [ -d "$installed" ] && [ -f "$QCONV_DATA_PATH/families/flux1.json" ]
result $? "the program, the folder of plugins and the data are installed"
docs=$(pkg-config --variable=prefix qconv)/share/doc/qconv
[ -s "$docs/operations.md" ] && [ -s "$docs/family-files.md" ] && [ -s "$docs/plugins/nvfp4.md" ]
result $? "the documents are installed"
[ ! -e "$installed/template.so" ]
result $? "the template is not installed"

# compile MODULE SOURCE... [flags]
compile ()
{
  module=$1
  shift
  # shellcheck disable=SC2046 # lists of words
  "$cc" -std=c17 -Wall -Wextra -Wno-unused-parameter -Werror -shared -fPIC $(pkg-config --cflags qconv-plugin) "$@" \
    -o "$module" $(pkg-config --libs qconv-plugin) -lm >"$scratch/said" 2>&1
}

mkdir "$scratch/mine" "$scratch/broken" "$scratch/second" "$scratch/source" "$scratch/twin"
for file in "$src"/plugins/template/*.[ch]; do
  name=$(basename "$file" | sed 's/template/mine/')
  sed 's/template/mine/g; s/QTML/MINE/' "$file" >"$scratch/source/$name"
done
compile "$scratch/mine/mine.so" "$scratch"/source/*.c
result $? "a plugin is compiled with what pkg-config says"

QCONV_PLUGIN_PATH=$scratch/mine:$installed
export QCONV_PLUGIN_PATH
"$qconv" plugins >"$scratch/said" 2>&1 && grep -q '^mine ' "$scratch/said"
result $? "it is listed"
"$qconv" plugins mine >"$scratch/said" 2>&1 && grep -q 'one scale for all weights' "$scratch/said"
result $? "its features are listed"

# 2 rows of 3 codes 1 … 6, scale 0.5
{
  printf 'MINE\002\000\000\000'
  printf '\007\000\000\000l.scale\002\000\000\000\000\000\000\000'
  printf '\007\000\000\000l.codes\017\000\000\000\002\000\000\000\002\000\000\000\000\000\000\000\003\000\000\000\000\000\000\000'
  printf '\000\000\000\000\000\077\000\000\000\000\201\202\203\204\205\206'
} >"$scratch/in.mine"
"$qconv" --from mine --to f32-safetensors "$scratch/in.mine" "$scratch/out.safetensors" >"$scratch/said" 2>&1
result $? "it reads a file"
values=$(tail -c 24 "$scratch/out.safetensors" | od -An -v -tf4 | tr -s ' \n' ' ')
[ "$values" = " 0.5 1 1.5 2 2.5 3 " ]
result $? "its values arrive:$values"
printf 'MINE\377\377\377\377\377\377\377\377\000' >"$scratch/bad.mine"
"$qconv" inspect "$scratch/bad.mine" >"$scratch/said" 2>&1
[ $? -eq 3 ]
result $? "what it refuses is exit status 3"

for kind in abi incomplete nothing null symbol undefined; do
  compile "$scratch/broken/broken_$kind.so" "$src/tests/conformance/broken-plugin.c" -DBROKEN_$kind || \
    give_up "compile broken_$kind"
done
echo "no module" >"$scratch/broken/broken_garbage.so"
cp "$scratch"/source/* "$scratch/twin"
sed -i 's/QCONV_PLUGIN_DEFINE (mine/QCONV_PLUGIN_DEFINE (twin/' "$scratch/twin/mine.c"
compile "$scratch/broken/twin.so" "$scratch"/twin/*.c || give_up "compile twin"
cp "$scratch/mine/mine.so" "$scratch/second/mine.so"
echo "not looked at" >"$scratch/broken/README"

QCONV_PLUGIN_PATH=$scratch/mine:$scratch/second:$scratch/broken:$installed
"$qconv" targets >"$scratch/out" 2>"$scratch/said"
result $? "with broken modules around, qconv goes on"
grep -q '^nvfp4-comfy' "$scratch/out"
result $? "and has its targets"
for name in abi garbage incomplete nothing null symbol undefined; do
  [ "$(grep -c "/broken_$name\.so" "$scratch/said")" -eq 1 ]
  result $? "broken_$name: one line names it"
done
[ "$(grep -c 'second/mine\.so' "$scratch/said")" -eq 1 ]
result $? "a second module of one name: one line names it"
taken=$(grep -c '/twin\.so: .* is left out: plugin mine (.*/mine/mine\.so) has that id' "$scratch/said")
[ "$taken" -gt 0 ]
result $? "a module with the ids of another: $taken lines name both"
[ "$("$qconv" plugins twin 2>/dev/null | grep -c 'left out: plugin mine (.*/mine/mine\.so)')" -eq "$taken" ]
result $? "qconv plugins lists them"
[ "$("$qconv" plugins twin --json 2>/dev/null | grep -c '"reason" : "plugin mine (.*/mine/mine\.so) has that id"')" -eq "$taken" ]
result $? "and --json does"
[ "$(wc -l <"$scratch/said")" -eq $((8 + taken)) ]
result $? "nothing else is said"

echo "1..$n"
exit $rc
