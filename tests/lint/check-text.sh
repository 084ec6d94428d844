#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# usage: check-text.sh SRCDIR
# The licence line of each source, the syntax of each shell script, and no notes to oneself.
cd "$1" || exit 99
rc=0
sources=0
scripts=0
marks='TO''DO|FIX''ME|XX''X|HA''CK'

for file in $(find core plugins plugin-api cuda tests data .ci -name '*.[ch]' -o -name '*.cu' -o -name '*.sh' -o -name '*.py' \
    -o -path .ci/run 2>/dev/null | sort); do
  sources=$((sources + 1))
  if ! head -n 2 "$file" | grep -q 'SPDX-License-Identifier: LGPL-2.1-or-later'; then
    echo "$file: no licence line"
    rc=1
  fi
  if grep -nHwE "$marks" "$file"; then
    rc=1
  fi
  case $file in
  *.sh|.ci/run)
    scripts=$((scripts + 1))
    sh -n "$file" || rc=1 ;;
  esac
done

echo "$sources sources, $scripts scripts"
[ $sources -gt 0 ] && [ $scripts -gt 0 ] && [ $rc -eq 0 ]
