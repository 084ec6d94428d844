#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# usage: tutorial.sh SRCDIR BUILDDIR CC
# Follows plugin-api/TUTORIAL.md literally: installs qconv into a scratch folder and runs all blocks of commands of the
# installed page, in order, in one shell that stops at the first failure.
build=$2
cc=${3:-cc}
scratch=$(mktemp -d) || exit 99
trap 'rm -rf "$scratch"' EXIT

give_up ()
{
  sed 's/^/# /' "$scratch/said"
  echo "Bail out! $1"
  exit 1
}

meson install -C "$build" --no-rebuild --quiet --destdir "$scratch/dest" >"$scratch/said" 2>&1 || give_up "install"
pc=$(find "$scratch/dest" -name qconv-plugin.pc | head -n 1)
[ -n "$pc" ] || give_up "qconv-plugin.pc is not installed"
for file in "$(dirname "$pc")"/*.pc; do
  sed -i "s,^prefix=,prefix=$scratch/dest," "$file"
done
PKG_CONFIG_PATH=$(dirname "$pc")${PKG_CONFIG_PATH:+:$PKG_CONFIG_PATH}
export PKG_CONFIG_PATH
# What whoever installs into a usual place has without doing anything
LD_LIBRARY_PATH=$(pkg-config --variable=libdir qconv)
QCONV_DATA_PATH=$(pkg-config --variable=datadir qconv)
QCONV_PLUGIN_PATH=$(pkg-config --variable=pluginsdir qconv-plugin)
# The page's model is of no family, and each start reads the files of all
[ -f "$QCONV_DATA_PATH/families/generic.json" ] || give_up "the families are not installed"
find "$QCONV_DATA_PATH/families" -name '*.json' ! -name generic.json -exec rm {} +
mkdir "$scratch/bin" "$scratch/work"
ln -s "$(command -v "$cc")" "$scratch/bin/cc"
PATH=$scratch/bin:$(pkg-config --variable=prefix qconv)/bin:$PATH
export LD_LIBRARY_PATH QCONV_DATA_PATH QCONV_PLUGIN_PATH PATH
page=$(pkg-config --variable=docdir qconv-plugin)/TUTORIAL.md
[ -f "$page" ] || give_up "TUTORIAL.md is not installed"

# A shell script of all blocks. Each is followed by a line for the test's result, on file descriptor 3
awk '
/^## / { title = substr ($0, 4) }
/^```/ {
  if (inside)
    {
      n++
      printf "%secho \"ok %d - %s\" >&3\n", text, n, title
    }
  inside = !inside && $0 == "```sh"
  text = ""
  next
}
inside { text = text $0 "\n" }
END { print "blocks=" n > "/dev/stderr" }
' "$page" >"$scratch/commands" 2>"$scratch/blocks"
# shellcheck disable=SC1091 # blocks=N
. "$scratch/blocks"
[ "${blocks:-0}" -ge 7 ] || give_up "the page has too few blocks of commands"

(cd "$scratch/work" && sh -eu "$scratch/commands") 3>"$scratch/rows" >"$scratch/said" 2>&1
rc=$?
cat "$scratch/rows"
if [ $rc -ne 0 ]; then
  sed 's/^/# /' "$scratch/said"
  echo "not ok $(($(wc -l <"$scratch/rows") + 1)) - a command failed with $rc"
fi
echo "1..$blocks"
exit $rc
