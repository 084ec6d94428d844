#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# usage: check-text.sh SRCDIR
# The licence line of each source, the syntax of each shell script, and no notes to oneself.
cd "$1" || exit 99
rc=0
marks='TO''DO|FIX''ME|XX''X|HA''CK'

files=$(find core plugins plugin-api cuda tests data .ci -name '*.[ch]' -o -name '*.cu' -o -name '*.cpp' -o -name '*.sh' -o -name '*.py' \
  -o -path .ci/run 2>/dev/null | sort)
scripts=$(echo "$files" | grep -e '\.sh$' -e '^\.ci/run$')
if [ -z "$files" ] || [ -z "$scripts" ]; then
  echo "no sources or no scripts in $1"
  exit 1
fi

# shellcheck disable=SC2086 # lists of words
awk '
FNR <= 2 && /SPDX-License-Identifier: LGPL-2.1-or-later/ { licensed[FILENAME] = 1 }
FNR > 2 { nextfile }
END {
  for (i = 1; i < ARGC; i++)
    if (!(ARGV[i] in licensed))
      {
        print ARGV[i] ": no licence line"
        wrong = 1
      }
  exit wrong
}' $files || rc=1
# shellcheck disable=SC2086
grep -nHwE "$marks" $files && rc=1
for script in $scripts; do
  sh -n "$script" || rc=1
done

echo "$(echo "$files" | wc -l) sources, $(echo "$scripts" | wc -l) scripts"
exit $rc
