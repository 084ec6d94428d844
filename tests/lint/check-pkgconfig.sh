#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# usage: check-pkgconfig.sh SRCDIR BUILDDIR
# What a third party asks pkg-config: the ABI number of the headers, the folders of plugins and data, flags that exist.
cd "$1" || exit 99
PKG_CONFIG_PATH=$2/meson-private${PKG_CONFIG_PATH:+:$PKG_CONFIG_PATH}
export PKG_CONFIG_PATH
rc=0

abi=$(pkg-config --variable=abi qconv-plugin) || exit 1
header=$(sed -n 's/^#define QCONV_PLUGIN_ABI \([0-9]*\).*/\1/p' plugin-api/*.h)
if [ -z "$header" ] || [ "$abi" != "$header" ]; then
  echo "abi is '$abi' for pkg-config and '$header' in the header"
  rc=1
fi
case $(pkg-config --variable=pluginsdir qconv-plugin) in
/*/qconv/plugins-"$abi") ;;
*) echo "pluginsdir is '$(pkg-config --variable=pluginsdir qconv-plugin)'"; rc=1 ;;
esac
case $(pkg-config --variable=datadir qconv) in
/*/qconv/data-[0-9]*) ;;
*) echo "datadir is '$(pkg-config --variable=datadir qconv)'"; rc=1 ;;
esac
pkg-config --cflags --libs qconv-plugin qconv || rc=1
exit $rc
