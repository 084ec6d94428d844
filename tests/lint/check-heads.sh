#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# usage: check-heads.sh SRCDIR
# Every source must begin (after #! and the licence line) with a comment of four words or more that says what the file
# is for. A usage line does not count.
cd "$1" || exit 99

find core plugins plugin-api cuda tests data .ci \( -name '*.[ch]' -o -name '*.cu' -o -name '*.cpp' -o -name '*.sh' -o -name '*.py' \
    -o -path .ci/run \) -print 2>/dev/null | sort | awk '
# How many words the comment at the head of the file has
function words_of_head (path,    text, words, n, mark, inside)
{
  n = inside = 0
  mark = path ~ /\.(c|h|cu|cpp)$/ ? "/*" : "#"
  while ((getline text < path) > 0)
    {
      if (!inside && (text ~ /^#!/ || text ~ /SPDX-License-Identifier/))
        continue
      if (!inside && mark == "#" && text ~ /^"""/)
        mark = "\"\"\""
      if (!inside && index (text, mark) != 1)
        break
      if (mark == "#" && text !~ /^#/)
        break
      if (!inside)
        inside = 1
      if (text !~ /usage:/)
        n += gsub (/[A-Za-z][A-Za-z]+/, "x", text)
      if (mark == "/*" && text ~ /\*\// || mark == "\"\"\"" && text ~ /.""" *$/ || mark == "\"\"\"" && text ~ /^""" *$/ && n)
        break
    }
  close (path)
  return n
}
{
  files++
  if (words_of_head($0) < 4)
    {
      print $0 ": no comment at its head says what the file is for"
      wrong = 1
    }
}
END {
  print files + 0 " sources"
  exit wrong || !files
}'
