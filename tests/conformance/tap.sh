# SPDX-License-Identifier: LGPL-2.1-or-later
# Counts results for the scripts that read this file. They print "1..$n" at the end and exit with $rc.
n=0
rc=0

# result STATUS TITLE: one line; a failure also shows what $scratch/said holds
result ()
{
  n=$((n + 1))
  if [ "$1" -eq 0 ]; then
    echo "ok $n - $2"
  else
    echo "not ok $n - $2"
    [ -f "$scratch/said" ] && sed 's/^/# /' "$scratch/said"
    rc=1
  fi
}
