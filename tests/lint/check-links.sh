#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# usage: check-links.sh LIBQCONV PLUGIN...
# libqconv links no plugin, plugins link no other plugin, and a plugin exports its one function and nothing else.
rc=0
n=0
lib=$1
shift

for file in "$lib" "$@"; do
  for needed in $(readelf -d "$file" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p'); do
    n=$((n + 1))
    for plugin in "$@"; do
      if [ "$needed" = "${plugin##*/}" ]; then
        echo "$file links $needed"
        rc=1
      fi
    done
  done
done
for plugin in "$@"; do
  name=${plugin##*/}
  name=${name%.so}
  exported=$(readelf -W --dyn-syms "$plugin" | awk '$5 == "GLOBAL" && $7 != "UND" { print $8 }' \
    | grep -vxE '_init|_fini|__[a-z_]*|_end|_edata' | tr '\n' ' ')
  if [ "$exported" != "qconv_plugin_$name " ]; then
    echo "$plugin exports: $exported"
    rc=1
  fi
done

echo "$n links of $# plugins"
[ $n -gt 0 ] && [ $# -gt 0 ] && [ $rc -eq 0 ]
