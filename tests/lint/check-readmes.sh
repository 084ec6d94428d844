#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# usage: check-readmes.sh SRCDIR
# What README.md and CONTRIBUTING.md files name must exist. Checked are words in backticks and targets of links that are
# a source (layer/tile.c, template.c) or begin with a folder of the root (data/families), relative to the README or to
# the root; a README in the root may name a file of any folder by its last name. A function that a README of core names,
# `qconv_plan_new()`, must be in a file that the same line names, or in core if the line names none.
cd "$1" || exit 99

find core plugins plugin-api cuda data tests po .ci README.md CONTRIBUTING.md LICENSE meson.build meson_options.txt \
    2>/dev/null | sort | awk '
# Returns the path with its .. resolved
function resolve (path)
{
  sub (/\/$/, "", path)
  while (path ~ /[^\/]+\/\.\.\//)
    sub (/[^\/]+\/\.\.\//, "", path)
  return path
}
# Returns what @name means in a README of @folder ("" or "core/"), or "" if it does not exist
function find_path (name, folder)
{
  name = resolve(name)
  if (resolve(folder name) in exists)
    return resolve(folder name)
  if (name in exists)
    return name
  return folder == "" && name in base ? base[name] : ""
}
function is_path (word)
{
  if (word ~ /[<>*{}$ :]/ || word ~ /(^|\/)NAME(\/|$)/ || word ~ /^\.?\//)
    return 0
  return word ~ /\.(c|h|cu|sh|md|build)$/ || word ~ /^(core|plugins|plugin-api|cuda|data|tests|po|\.ci)\//
}
function calls (path, name,    text, found)
{
  while (!found && (getline text < path) > 0)
    found = text ~ ("(^|[^A-Za-z0-9_])" name " ?\\(")
  close (path)
  return found
}
function wrong_at (what)
{
  print readme ":" line ": " what
  wrong = 1
}
function check_function (name, files,    n, list, i, found)
{
  checked++
  if (files == "")
    files = sources
  n = split (files, list, " ")
  for (i = 1; i <= n && !found; i++)
    found = calls(list[i], name)
  if (!found)
    wrong_at(name "() is not" (files == sources ? " in core" : " in" files))
}
function check_line (text, folder,    named, functions, word, n, list, i)
{
  named = functions = ""
  while (match (text, /`[^`]+`|\]\([^)]+\)/))
    {
      word = substr (text, RSTART, RLENGTH)
      text = substr (text, RSTART + RLENGTH)
      gsub (/^`|`$|^\]\(|\)$|#.*$/, "", word)
      if (folder ~ /^core\// && word ~ /^[a-z_][a-z0-9_]* ?\(\)$/)
        functions = functions " " substr (word, 1, match (word, / ?\(/) - 1)
      sub (/ .*/, "", word)
      if (!is_path(word))
        continue
      checked++
      if (find_path(word, folder) == "")
        wrong_at(word " does not exist")
      else
        named = named " " find_path(word, folder)
    }
  n = split (functions, list, " ")
  for (i = 1; i <= n; i++)
    check_function(list[i], named)
}
{
  exists[$0] = 1
  last = $0
  sub (/.*\//, "", last)
  base[last] = $0
  if (last == "README.md" || last == "CONTRIBUTING.md")
    readmes[++n_readmes] = $0
  if ($0 ~ /^core\/.*\.[ch]$/)
    sources = sources " " $0
}
END {
  for (i = 1; i <= n_readmes; i++)
    {
      readme = readmes[i]
      folder = readme
      sub (/[^\/]*$/, "", folder)
      line = 0
      while ((getline text < readme) > 0)
        {
          line++
          check_line(text, folder)
        }
      close (readme)
    }
  print checked + 0 " names in " n_readmes + 0 " files"
  exit wrong || !checked
}'
