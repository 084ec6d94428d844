#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# usage: check-endian.sh SRCDIR COMPILER...
# Meson must refuse a host that is big-endian, and say why.
srcdir=$1
shift
scratch=$(mktemp -d) || exit 99
trap 'rm -rf "$scratch"' EXIT

compiler=$(printf ", '%s'" "$@")
cat >"$scratch/cross.ini" <<EOF
[binaries]
c = [${compiler#, }]
[properties]
needs_exe_wrapper = true
[host_machine]
system = 'linux'
cpu_family = 's390x'
cpu = 's390x'
endian = 'big'
EOF

if meson setup --cross-file "$scratch/cross.ini" "$scratch/build" "$srcdir" >"$scratch/out" 2>&1; then
  echo "check-endian.sh: meson takes a big-endian host" >&2
  exit 1
fi
if ! grep -q 'qconv needs a little-endian host: ' "$scratch/out"; then
  cat "$scratch/out"
  echo "check-endian.sh: meson does not say why it refuses a big-endian host" >&2
  exit 1
fi
