#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# usage: check-potfiles.sh SRCDIR [--update]
# Fails unless po/POTFILES.in names exactly the files with texts to translate
cd "$1" || exit 1
# The plugin API only defines the macro
found=$(grep -rlE '(^|[^A-Za-z0-9_])(_|N_|C_|Q_|ngettext) ?\("' core plugins cuda --include='*.c' --include='*.h' \
  | LC_ALL=C sort)
[ -n "$found" ] || {
  echo "no file has a text to translate"
  exit 1
}
if [ "$2" = --update ]; then
  printf '%s\n' "$found" > po/POTFILES.in
fi
printf '%s\n' "$found" | diff po/POTFILES.in - || {
  echo "po/POTFILES.in is not what the sources say; $0 $1 --update rewrites it"
  exit 1
}
