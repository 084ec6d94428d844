#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# usage: install-packages.sh build|test
# Installs the packages that building (and testing) qconv needs on Debian, Ubuntu or Fedora. Asks no question; does
# nothing if all packages are installed.
set -eu

what=${1:?usage: install-packages.sh build|test}

as_root ()
{
  if [ "$(id -u)" -eq 0 ]; then
    "$@"
  elif [ -t 0 ]; then
    sudo "$@"
  else
    sudo -n "$@"
  fi
}

install_with_apt ()
{
  packages="gcc libc6-dev meson ninja-build pkg-config libglib2.0-dev libjson-glib-dev libdeflate-dev zlib1g-dev gettext python3"
  if [ "$what" = test ]; then
    packages="$packages g++ clang valgrind python3-venv time util-linux libsimde-dev"
    # Only version 14 decides about the format of sources; Debian 12's is 14
    command -v clang-format-14 >/dev/null || packages="$packages clang-format"
  fi
  missing=
  for p in $packages; do
    dpkg-query -W -f '${Status}' "$p" 2>/dev/null | grep -q 'ok installed' || missing="$missing $p"
  done
  [ -n "$missing" ] || return 0
  export DEBIAN_FRONTEND=noninteractive
  as_root apt-get -q update
  # The sanitizers of clang are in a separate package, whose name has the version
  case $missing in
  *clang*)
    version=$(apt-cache depends clang | sed -n 's/.*Depends: clang-\([0-9]*\)$/\1/p' | head -n 1)
    if apt-cache show "libclang-rt-$version-dev" >/dev/null 2>&1; then
      missing="$missing libclang-rt-$version-dev"
    fi ;;
  esac
  case $missing in
  *clang-format*)
    if apt-cache show clang-format-14 >/dev/null 2>&1; then
      missing="$missing clang-format-14"
    fi ;;
  esac
  # shellcheck disable=SC2086 # a list of words
  as_root env DEBIAN_FRONTEND=noninteractive apt-get -q install -y --no-install-recommends $missing
}

install_with_dnf ()
{
  packages="gcc meson ninja-build pkgconf-pkg-config glib2-devel json-glib-devel libdeflate-devel zlib-devel gettext python3"
  if [ "$what" = test ]; then
    packages="$packages gcc-c++ clang compiler-rt libasan libubsan valgrind python3-pip time util-linux simde-devel"
  fi
  missing=
  for p in $packages; do
    rpm -q --whatprovides "$p" >/dev/null 2>&1 || missing="$missing $p"
  done
  [ -n "$missing" ] || return 0
  # shellcheck disable=SC2086 # a list of words
  as_root dnf -q install -y $missing
}

if command -v apt-get >/dev/null; then
  install_with_apt
elif command -v dnf >/dev/null; then
  install_with_dnf
else
  echo "install-packages.sh: found neither apt-get nor dnf: install gcc, meson, ninja, pkg-config, the headers of" \
    "GLib and json-glib, and gettext by hand, then use --no-install" >&2
  exit 1
fi
