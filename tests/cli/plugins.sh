# SPDX-License-Identifier: LGPL-2.1-or-later
# Tests of the plugins command, and of a module that cannot be loaded
. "$LIB"
"$QCONV" plugins | grep -c '^safetensors '
"$QCONV" plugins safetensors | sed -n '1p;/container/p'
"$QCONV" plugins --json | "$CHECK_JSON" . 0/name 0/reason 0/features >json && echo "JSON is good" || cat json
"$QCONV" formats | grep '^safetensors .*container'
"$QCONV" formats --json | "$CHECK_JSON" . 0/id 0/kind 0/summary >json && echo "JSON is good" || cat json
"$QCONV" targets --json | "$CHECK_JSON" . 0/name 0/summary 0/scheme 0/writer >json && echo "JSON is good" || cat json
run plugins none

# A module that does not load is listed with the reason; the program goes on
mkdir broken
echo "not a module" >broken/worn.so
QCONV_PLUGIN_PATH=broken:$QCONV_PLUGIN_PATH
export QCONV_PLUGIN_PATH
"$QCONV" plugins 2>warnings | sed -n 's/^\(worn *not loaded\):.*/\1/p'
echo "warnings: $(grep -c '^qconv: warning: .*worn' warnings) of $(wc -l <warnings)"
"$QCONV" plugins worn >/dev/null 2>&1; echo "= $?"
"$QCONV" formats 2>/dev/null | grep -c '^safetensors '
