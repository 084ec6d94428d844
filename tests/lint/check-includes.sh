#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# usage: check-includes.sh SRCDIR
# Which folder may include what; fails where a line is crossed, and where a folder that has code was not looked at.
cd "$1" || exit 99

list=$(mktemp) || exit 99
trap 'rm -f "$list"' EXIT

find plugin-api plugins cuda core -name '*.[ch]' -o -name '*.cu' 2>/dev/null | sort >"$list"

awk '
function folder_of (path)
{
  sub (/\/[^\/]*$/, "", path)
  return path
}
# Whether a header with this name lies in one of the folders
function lies_in (header, folders,    list, n, i)
{
  n = split (folders, list, " ")
  for (i = 1; i <= n; i++)
    if ((list[i] "/" header) in files)
      return 1
  return 0
}
function allowed (folder, header)
{
  if (folder == "plugin-api")
    return lies_in(header, "plugin-api")
  if (folder == "core/kernels")
    return header == "qconv-backend.h" || header == "qconv-types.h" \
      || header ~ /^kernels\// && lies_in(header, "core")
  if (folder == "core/cli")
    return header == "qconv.h" || lies_in(header, "plugin-api") || header ~ /^cli\// && lies_in(header, "core")
  if (folder == "core" || folder ~ /^core\//)
    return header == "kernels/kernels.h" || header !~ /^(cli|kernels)\// && lies_in(header, "plugin-api core " folder)
  if (folder == "cuda")
    return header == "qconv-backend.h" || header == "qconv-types.h" || lies_in(header, "cuda")
  if (folder ~ /^plugins\//)
    return lies_in(header, "plugin-api plugins/common " folder)
  return 0
}
{ files[$0] = 1; order[++n_files] = $0 }
END {
  for (i = 1; i <= n_files; i++)
    {
      path = order[i]
      folder = folder_of(path)
      seen[folder]++
      line = 0
      while ((getline text < path) > 0)
        {
          line++
          if (text !~ /^[ \t]*#[ \t]*include[ \t]*["<]/)
            continue
          split (text, words, /["<>]/)
          if (text ~ /include[ \t]*</)
            bad = (folder == "core/kernels" || folder == "cuda") && words[2] ~ /^(gio|json-glib|gmodule)/
          else
            bad = words[2] ~ /\.\.\// || !allowed(folder, words[2])
          checked++
          if (bad)
            {
              print path ":" line ": " folder " may not include " words[2]
              wrong = 1
            }
        }
      close (path)
    }
  n = split ("plugin-api core core/kernels core/cli", needed, " ")
  for (i = 1; i <= n; i++)
    if (!(needed[i] in seen))
      {
        print "nothing to look at in " needed[i]
        wrong = 1
      }
  print checked + 0 " includes in " n_files + 0 " files"
  exit wrong || !checked
}' "$list"
