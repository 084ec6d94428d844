# SPDX-License-Identifier: LGPL-2.1-or-later
# Tests the families command: the list, one family, unknown ids and family files of the user.
. "$LIB"
"$QCONV" families | awk 'NR == 1 || /^(flux1|t5|wan) / { print $1, $2 }'
[ "$("$QCONV" families | sed '1d;s/ .*//')" = "$("$QCONV" complete families | grep -v '^-')" ] && echo "as completed"
"$QCONV" families --json | "$CHECK_JSON" . 0/family 0/kind 0/variants 0/variants/0/name 0/variants/0/params
# The schemes depend on the plugins that were built
run families flux1 | sed -e 's|file  .*|file  FILE|' -e 's/^\( *\)iq4_nl, [a-z0-9_, ]*:/\1GGUF:/' \
  -e 's/^\( *\)[a-z0-9_, ]*nvfp4[a-z0-9_, ]*:/\1NVFP4:/' \
  -e 's/^\( *\)[a-z0-9_, ]*fp8[a-z0-9_, ]*:/\1FP8:/'
"$QCONV" families flux1 --json | "$CHECK_JSON" family variants/0/name variants/0/aliases/0 variants/0/tensors reads/1 \
  writes/1 presets/0/rules/0/scheme presets/0/rules/0/match presets/0/rules/0/classes never_packed/0
# Blocks at both ends
"$QCONV" families ltx2 | grep blocks | head -n 1 | sed 's/  *$//'
run families flux
run families flux1 wan
run families --to nvfp4-comfy

echo "== a family of one's own comes first"
sed 's/"family": "flux1"/"family": "mine"/; s/"priority": [0-9]*/"priority": 0/' \
  "$QCONV_DATA_PATH/families/flux1.json" >mine.json
"$QCONV" families --family-file mine.json | awk '/^(flux1|mine) / { print $1, $2 }'
"$QCONV" families --family-file mine.json mine | head -n 1
make_family flux1 tiny in.safetensors
"$QCONV" inspect in.safetensors | grep -e family -e variant
"$QCONV" inspect --family-file mine.json in.safetensors | grep -e family -e variant
"$QCONV" inspect --json in.safetensors | "$CHECK_JSON" family variant
sed 's/"title"/"titel"/' mine.json >broken.json
run families --family-file broken.json
run inspect --family-file broken.json in.safetensors
run inspect --family-file missing.json in.safetensors
list
