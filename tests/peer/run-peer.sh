#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# usage: run-peer.sh VENV SCRIPT [MODULES]
# Runs one peer test with the Python of VENV. Skips it, with the reason, if VENV or one of the modules is missing.
if [ ! -x "$1/bin/python" ] || [ -f "$1.reason" ]; then
  reason=$(cat "$1.reason" 2>/dev/null || echo "$1 does not exist: tests/run.sh makes it")
  echo "1..0 # SKIP $reason"
  exit 0
fi
if [ -n "${3:-}" ] && ! "$1/bin/python" -c "import $3" 2>/dev/null; then
  echo "1..0 # SKIP the Python packages $3 are not installed: tests/run.sh --peers installs them"
  exit 0
fi
PYTHONDONTWRITEBYTECODE=1 exec "$1/bin/python" "$2"
