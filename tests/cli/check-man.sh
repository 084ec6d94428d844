#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# usage: check-man.sh QCONV MANPAGE
# Fails if a command or option that the program completes is missing in the man page
page=$(sed -e 's/Fl -/--/g' -e 's/Fl \([A-Za-z]\)/-\1/g' "$2") || exit 1
rc=0
n=0
for word in $("$1" complete); do
  n=$((n + 1))
  printf '%s\n' "$page" | grep -qwe "$word" || {
    echo "$word is not in $2"
    rc=1
  }
done
[ $n -gt 0 ] || {
  echo "$1 complete printed nothing"
  rc=1
}
exit $rc
