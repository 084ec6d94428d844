#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# usage: check-headers.sh SRCDIR [CC [CXX]]
# Each public header compiles alone, in C and in C++, with every warning an error.
cd "$1" || exit 99
cc=${2:-cc}
cxx=${3:-}
rc=0
n=0
flags="-Iplugin-api -Icore -Wall -Wextra -Werror -fsyntax-only $(pkg-config --cflags gio-2.0 gmodule-no-export-2.0)"

for header in plugin-api/*.h core/*.h; do
  [ -f "$header" ] || continue
  n=$((n + 1))
  name=${header##*/}
  # shellcheck disable=SC2086 # lists of words
  echo "#include \"$name\"" | $cc -std=c17 $flags -x c - || { echo "$header: does not compile alone in C"; rc=1; }
  # shellcheck disable=SC2086
  if [ -n "$cxx" ]; then
    echo "#include \"$name\"" | $cxx -std=c++17 $flags -x c++ - \
      || { echo "$header: does not compile alone in C++"; rc=1; }
  fi
done

echo "$n headers${cxx:+, in C++ too}"
[ $n -gt 0 ] && [ $rc -eq 0 ]
