#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# usage: check-po.sh SRCDIR
# Every catalogue is well formed, its formats agree with the program's, and it is listed
cd "$1/po" || exit 1
command -v msgfmt >/dev/null || {
  echo "there is no msgfmt"
  exit 77
}
rc=0
n=0
for language in $(cat LINGUAS); do
  n=$((n + 1))
  msgfmt --check --statistics -o /dev/null "$language.po" || rc=1
done
[ $n -gt 0 ] && [ $n -eq "$(ls ./*.po | wc -l)" ] || {
  echo "LINGUAS names $n languages, there are $(ls ./*.po)"
  rc=1
}
exit $rc
