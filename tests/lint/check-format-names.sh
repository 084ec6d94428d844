#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# usage: check-format-names.sh SRCDIR
# Core knows no format by name and no metadata key of one: neither may stand in its code outside core/kernels. Comments
# may give examples. Exceptions are lines "file word reason" of format-names.allow; one that is not needed is an error.
cd "$1" || exit 99
allow=tests/lint/format-names.allow
[ -f "$allow" ] || allow=/dev/null

find core -path core/kernels -prune -o -name '*.[ch]' -print 2>/dev/null | sort | awk -v allow="$allow" '
BEGIN {
  words = "gguf ggml safetensors comfy nunchaku gptq awq bitsandbytes bnb nvfp4 mxfp[48] nf4 svdq modelopt"
  words = words " \"general[.] \"tokenizer[.] head_count key_length"
  n_words = split (words, word, " ")
  while ((getline text < allow) > 0)
    {
      if (text ~ /^#/ || text == "")
        continue
      split (text, part, " ")
      allowed[part[1] " " part[2]] = 1
    }
}
# The code of one line, without comments
function code (text,    out, at)
{
  out = ""
  while (text != "")
    if (in_comment)
      {
        at = index (text, "*/")
        if (!at)
          return out
        text = substr (text, at + 2)
        in_comment = 0
      }
    else
      {
        at = index (text, "/*")
        if (!at)
          return out text
        out = out substr (text, 1, at - 1)
        text = substr (text, at + 2)
        in_comment = 1
      }
  return out
}
{
  path = $0
  files++
  in_comment = 0
  line = 0
  while ((getline text < path) > 0)
    {
      line++
      lower = tolower (code(text))
      for (i = 1; i <= n_words; i++)
        if (match (lower, word[i]))
          {
            key = path " " substr (lower, RSTART, RLENGTH)
            if (key in allowed)
              used[key] = 1
            else
              {
                print path ":" line ": " text
                wrong = 1
              }
          }
    }
  close (path)
}
END {
  for (key in allowed)
    if (!(key in used))
      {
        print allow ": not needed: " key
        wrong = 1
      }
  print files + 0 " files"
  exit wrong || !files
}'
