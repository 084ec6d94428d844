#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# usage: check-includes.sh SRCDIR
# Reads the table of folders in CONTRIBUTING.md and fails if a source includes what its folder may not, if a folder is not in
# the table, or if a folder of the table has no sources.
cd "$1" || exit 99

list=$(mktemp) || exit 99
trap 'rm -f "$list"' EXIT

find plugin-api plugins cuda core -name '*.[ch]' -o -name '*.cu' 2>/dev/null | sort >"$list"

awk '
function folder_of (path)
{
  return sub (/\/[^\/]*$/, "", path) ? path : ""
}
# The row of the table for a folder: its own, or that of all plugins
function row_of (folder)
{
  if (folder in may)
    return folder
  return folder ~ /^plugins\/[^\/]*$/ ? "plugins/NAME" : ""
}
# Reads "| `FOLDER/` | … | `FOLDER` `FOLDER/HEADER.h` … |"
function read_table (    text, column, words, n, i, folder)
{
  while ((getline text < "CONTRIBUTING.md") > 0)
    {
      if (text !~ /^\| `[^`]*\/` \|/)
        continue
      split (text, column, "|")
      folder = column[2]
      gsub (/[` ]/, "", folder)
      sub (/\/$/, "", folder)
      may[folder] = " "
      glib_only[folder] = column[4] ~ /GLib only/
      n = split (column[4], words, "`")
      for (i = 2; i <= n; i += 2)
        may[folder] = may[folder] words[i] " "
      rows++
    }
  close ("CONTRIBUTING.md")
}
# The path of a header as the compiler finds it; core writes the folder, others do not
function resolve (header, folder)
{
  if (("core/" header) in files)
    return "core/" header
  if (("plugin-api/" header) in files)
    return "plugin-api/" header
  if (folder !~ /^core/ && (folder "/" header) in files)
    return folder "/" header
  if (folder ~ /^plugins\// && ("plugins/common/" header) in files)
    return "plugins/common/" header
  return ""
}
function allowed (header, folder, row,    path, of)
{
  path = resolve(header, folder)
  of = folder_of(path)
  return path != "" && (of == folder || index (may[row], " " of " ") || index (may[row], " " path " "))
}
function complain (text)
{
  print text
  wrong = 1
}
{ files[$0] = 1; order[++n_files] = $0 }
END {
  read_table()
  for (i = 1; i <= n_files; i++)
    {
      path = order[i]
      folder = folder_of(path)
      row = row_of(folder)
      seen[row]++
      if (row == "")
        complain(path ": its folder is not in the table of CONTRIBUTING.md")
      line = 0
      while ((getline text < path) > 0)
        {
          line++
          if (text !~ /^[ \t]*#[ \t]*include[ \t]*["<]/)
            continue
          split (text, words, /["<>]/)
          checked++
          if (text ~ /include[ \t]*</)
            bad = glib_only[row] && words[2] ~ /^(gio|json-glib|gmodule)/
          else
            bad = words[2] ~ /\.\.\// || !allowed(words[2], folder, row)
          if (bad)
            complain(path ":" line ": " folder " may not include " words[2])
        }
      close (path)
    }
  for (folder in may)
    if ((folder ~ /^core/ || folder == "plugin-api") && !(folder in seen))
      complain("nothing to look at in " folder)
  print checked + 0 " includes in " n_files + 0 " files, " rows + 0 " folders"
  exit wrong || !checked || !rows
}' "$list"
