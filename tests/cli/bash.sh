# SPDX-License-Identifier: LGPL-2.1-or-later
# bash completion offers the words that the program prints
. "$LIB"
command -v bash >/dev/null || {
  echo "there is no bash"
  exit 77
}
cat >try.bash <<'END'
PATH=$(dirname "$QCONV"):$PATH
. "$COMPLETIONS/qconv.bash"
try ()
{
  COMP_WORDS=("$@")
  COMP_CWORD=$(($# - 1))
  # compopt fails outside of a completion
  _qconv 2>/dev/null
  echo "$*: ${COMPREPLY[*]}"
}
try qconv ins
try qconv --to bf16
try qconv --to = f32
try qconv plugins safe
try qconv families wa
try qconv --layers ke
try qconv --progress ''
try qconv "a file" --eff
END
COMPLETIONS=$(dirname "$LIB")/../../data/completions bash try.bash
