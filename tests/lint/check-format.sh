#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# usage: check-format.sh SRCDIR
# clang-format must leave every C source as it is. Versions format differently and only 14 decides: without it the check
# is skipped with status 77.
cd "$1" || exit 99

list=$(find core plugins plugin-api cuda tests data \( -name '*.[ch]' -o -name '*.cu' -o -name '*.cpp' \) -print 2>/dev/null | sort)
if [ -z "$list" ] || [ ! -f .clang-format ]; then
  echo "no sources, or no .clang-format, in $1"
  exit 1
fi
for program in clang-format-14 clang-format; do
  if $program --version 2>/dev/null | grep -q ' version 14\.'; then
    # shellcheck disable=SC2086 # a list of words
    $program --dry-run -Werror $list || exit 1
    echo "$(echo "$list" | wc -l) files"
    exit 0
  fi
done
echo "clang-format 14 is not installed here: formatting was not checked"
exit 77
