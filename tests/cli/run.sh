#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# usage: run.sh QCONV MAKE-MODEL CHECK-JSON SCRIPT [--update]
# Runs SCRIPT in an empty folder and compares what it prints with SCRIPT.stdout beside it; --update writes that file.
# A script ends with 77 after a line that says why it cannot run.
absolute ()
{
  (cd "$(dirname "$1")" && printf '%s/%s\n' "$(pwd)" "$(basename "$1")")
}

QCONV=$(absolute "$1") || exit 1
MAKE_MODEL=$(absolute "$2") || exit 1
CHECK_JSON=$(absolute "$3") || exit 1
here=$(cd "$(dirname "$4")" && pwd) || exit 1
script=$here/$(basename "$4")
scratch=$(mktemp -d) || exit 1
trap 'rm -rf "$scratch"' EXIT
mkdir "$scratch/work" && cd "$scratch/work" || exit 1

env -i --default-signal=HUP PATH="$PATH" HOME="$scratch" LC_ALL=C.UTF-8 TERM=dumb COLUMNS=100 \
  QCONV_PLUGIN_PATH="$QCONV_PLUGIN_PATH" QCONV_DATA_PATH="$QCONV_DATA_PATH" \
  ${ASAN_OPTIONS:+ASAN_OPTIONS="$ASAN_OPTIONS"} ${UBSAN_OPTIONS:+UBSAN_OPTIONS="$UBSAN_OPTIONS"} \
  G_DEBUG=fatal-criticals QCONV="$QCONV" MAKE_MODEL="$MAKE_MODEL" CHECK_JSON="$CHECK_JSON" LIB="$here/lib.sh" \
  sh "$script" >"$scratch/stdout"
status=$?
if [ $status -eq 77 ]; then
  cat "$scratch/stdout"
  exit 77
fi
if [ $status -ne 0 ]; then
  cat "$scratch/stdout"
  echo "$script ended with $status"
  exit 1
fi
[ -s "$scratch/stdout" ] || {
  echo "$script printed nothing"
  exit 1
}
if [ "$5" = --update ]; then
  cp "$scratch/stdout" "$script.stdout"
fi
diff -u "$script.stdout" "$scratch/stdout"
