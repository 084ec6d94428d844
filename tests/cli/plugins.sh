# SPDX-License-Identifier: LGPL-2.1-or-later
# Tests what the commands plugins and formats list.
. "$LIB"
need_target nvfp4-comfy
need_target fp8-comfy
"$QCONV" plugins | grep -c '^safetensors '
"$QCONV" plugins safetensors | sed -n '1p;/container/p'
"$QCONV" plugins --json | "$CHECK_JSON" . 0/name 0/reason 0/features >json && echo "JSON is good" || cat json
"$QCONV" formats | grep '^safetensors .*container'
echo "components of schemes:"
for name in nvfp4 fp8; do
  "$QCONV" plugins $name | sed -n '/^  quantizer/p;/^    components/,/^  [a-z]/{/^    */p}'
done
"$QCONV" plugins nvfp4 --json | "$CHECK_JSON" features/0/sample features/0/components/0/name \
  features/0/components/0/dtype features/0/components/0/shape features/0/components/0/rows \
  features/0/components/0/items features/0/components/0/optional features/0/components/0/given
"$QCONV" formats --json | "$CHECK_JSON" . 0/id 0/kind 0/summary >json && echo "JSON is good" || cat json
"$QCONV" targets --json | "$CHECK_JSON" . 0/name 0/summary 0/scheme 0/writer >json && echo "JSON is good" || cat json
run plugins none

# A module that does not load is named with a reason, and stops nothing
mkdir broken
echo "not a module" >broken/worn.so
QCONV_PLUGIN_PATH=broken:$QCONV_PLUGIN_PATH
export QCONV_PLUGIN_PATH
"$QCONV" plugins 2>warnings | sed -n 's/^\(worn *not loaded\):.*/\1/p'
echo "warnings: $(grep -c '^qconv: warning: .*worn' warnings) of $(wc -l <warnings)"
"$QCONV" plugins worn >/dev/null 2>&1; echo "= $?"
"$QCONV" formats 2>/dev/null | grep -c '^safetensors '

QCONV_PLUGIN_PATH=${QCONV_PLUGIN_PATH#broken:}

# Targets whose plugins are missing are named with the reason
mkdir few
for name in comfy safetensors; do
  for folder in $(printf '%s' "$QCONV_PLUGIN_PATH" | tr ':' ' '); do
    [ -e few/$name.so ] || cp "$folder/$name.so" few 2>/dev/null
  done
done
QCONV_PLUGIN_PATH=few
"$QCONV" plugins | grep -q '^nvfp4 ' && {
  echo "the installed plugins offer what this test misses"
  exit 77
}
echo "with a few plugins:"
"$QCONV" targets | sed 's/ .*//' | tr '\n' ' '
echo
"$QCONV" plugins comfy | grep 'not offered' | head -n 2
"$QCONV" plugins comfy --json | "$CHECK_JSON" features/1/not_offered/0/name features/1/not_offered/0/reason
make_model in.safetensors
run --to nvfp4-comfy in.safetensors out.safetensors
run --to nvpf4-comfy in.safetensors out.safetensors
