#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# usage: check-sizes.sh SRCDIR
# Files have at most 500 lines, functions at most 60 from brace to brace, lines of C at most 120
# characters.
cd "$1" || exit 99
find core plugins plugin-api cuda tests data \( -name '*.[ch]' -o -name '*.cu' -o -name '*.cpp' -o -name '*.sh' -o -name '*.py' \) -print \
  2>/dev/null | sort | awk '
{
  path = $0
  files++
  line = start = 0
  code = path ~ /\.(c|h|cu|cpp)$/
  while ((getline text < path) > 0)
    {
      line++
      if (code && length (text) > 120)
        {
          print path ":" line ": " length (text) " characters"
          wrong = 1
        }
      if (code && text ~ /^{/)
        start = line
      if (code && text ~ /^}/ && start)
        {
          functions++
          if (line - start + 1 > 60)
            {
              print path ":" start ": function of " line - start + 1 " lines"
              wrong = 1
            }
          start = 0
        }
    }
  close (path)
  if (line > 500)
    {
      print path ": " line " lines"
      wrong = 1
    }
}
END {
  print functions + 0 " functions in " files + 0 " files"
  exit wrong || !files || !functions
}'
