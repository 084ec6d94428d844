# SPDX-License-Identifier: LGPL-2.1-or-later
# Help lists every option, target and command
. "$LIB"
"$QCONV" --version | sed '1s/[0-9][0-9.]*$/VERSION/; 2s/[a-z0-9]*$/LEVEL/'
QCONV_CPU=scalar "$QCONV" --version | tail -n 1
QCONV_CPU=z80 "$QCONV" --version 2>&1 >unknown | sed 's/level [a-z0-9]* is used/level LEVEL is used/'
"$QCONV" --version | cmp - unknown
"$QCONV" -h >short || echo "-h failed"
"$QCONV" --help >long-name || echo "--help failed"
cmp short long-name
"$QCONV" --help-all >all || echo "--help-all failed"
[ "$(wc -l <short)" -lt "$(wc -l <all)" ] || echo "--help-all is not longer"
n=0
for word in $("$QCONV" complete); do
  n=$((n + 1))
  grep -qwe "$word" all || echo "$word is not in --help-all"
done
[ $n -gt 20 ] && echo "all words are in --help-all"
n=0
for target in $("$QCONV" complete --to); do
  n=$((n + 1))
  grep -qwe "$target" all || echo "target $target is not in --help-all"
done
[ $n -gt 0 ] && echo "all targets are in --help-all"
for command in convert inspect verify targets formats families plugins; do
  "$QCONV" $command -h | head -n 1
done
