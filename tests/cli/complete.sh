# SPDX-License-Identifier: LGPL-2.1-or-later
# The words that completion offers
. "$LIB"
run complete
run complete inspect
run complete --progress
run complete convert --effort
run complete --memory
[ "$("$QCONV" complete --to)" = "$("$QCONV" targets | sed 's/ .*//')" ] && echo "targets as listed"
"$QCONV" complete --from | grep -x safetensors
"$QCONV" complete plugins | grep -x safetensors
"$QCONV" complete families | grep -x flux1
"$QCONV" complete --to fp8-comfy --layers | grep -x keep:
"$QCONV" complete --to fp8-comfy --fallback | grep -x keep
