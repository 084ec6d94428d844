#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# usage: run-peer.sh VENV SCRIPT [MODULES]
# Runs one peer test with the Python of VENV; without it, or the further modules, all is skipped, with the reason.
if [ ! -x "$1/bin/python" ] || [ -f "$1.reason" ]; then
  reason=$(cat "$1.reason" 2>/dev/null || echo "tests/run.sh has not made $1")
  echo "1..0 # SKIP $reason"
  exit 0
fi
if [ -n "${3:-}" ] && ! "$1/bin/python" -c "import $3" 2>/dev/null; then
  echo "1..0 # SKIP no Python packages $3: tests/run.sh --peers brings them"
  exit 0
fi
PYTHONDONTWRITEBYTECODE=1 exec "$1/bin/python" "$2"
