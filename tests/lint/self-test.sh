#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# usage: self-test.sh SRCDIR
# Each check must pass a small good tree, fail each way of spoiling it, and fail where there is nothing to look at.
checks=$(cd "$1" && pwd)/tests/lint || exit 99
scratch=$(mktemp -d) || exit 99
trap 'rm -rf "$scratch"' EXIT
n=0
rc=0
spdx='/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Declares what the tests of lint need. */'

good_tree ()
{
  rm -rf "$scratch/tree"
  mkdir -p "$scratch/tree/core/base" "$scratch/tree/core/cli" "$scratch/tree/core/kernels/items" "$scratch/tree/plugin-api" "$scratch/tree/plugins/one" \
    "$scratch/tree/plugins/two" "$scratch/tree/plugins/common" "$scratch/tree/cuda" "$scratch/tree/tests" \
    "$scratch/tree/data"
  cd "$scratch/tree" || exit 99
  for header in plugin-api/qconv-plugin.h plugin-api/qconv-backend.h plugin-api/qconv-dtype.h plugin-api/qconv-lowrank.h plugin-api/qconv-numbers.h plugin-api/qconv-types.h core/qconv.h core/base/inner.h \
      core/kernels/kernels.h core/kernels/args.h core/kernels/ggml-grids.h core/kernels/jobs.h core/kernels/numbers.h core/kernels/items/item.h plugins/common/json.h plugins/one/one.h plugins/two/two.h core/cli/cli.h core/kernels/ops.h core/kernels/stream.h core/kernels/device.h cuda/device.h; do
    printf '%s\n#pragma once\n' "$spdx" >$header
  done
  printf '%s\n#include "qconv-plugin.h"\nint\nf (void)\n{\n  return 0;\n}\n' "$spdx" >core/a.c
  printf '%s\n#include "cli/cli.h"\n#include "qconv.h"\n' "$spdx" >core/cli/main.c
  printf '%s\n#include "kernels/kernels.h"\n#include "qconv-backend.h"\n' "$spdx" >core/kernels/k.c
  printf '%s\n#include "one.h"\n#include "json.h"\n#include "qconv-plugin.h"\n' "$spdx" >plugins/one/one.c
  printf '%s\n#include "device.h"\n' "$spdx" >cuda/table.c
  # The rows for folders that have sources here, without what these hold
  sed -n 's/^\(| `\(core\|cuda\|plugin-api\|plugins\)[^|]*|\)[^|]*|/\1 |/p' "$checks/../../CONTRIBUTING.md" >CONTRIBUTING.md
  cp -R "$scratch/rooms/." core
  printf '#!/bin/sh\n# SPDX-License-Identifier: LGPL-2.1-or-later\n# Does nothing and does it well.\ntrue\n' \
    >data/good.sh
  printf '`a.c` has `f()`, see [the headers](../plugin-api/).\n' >core/README.md
  cp "$checks/../../.clang-format" .
}

# "FOLDER OTHER yes" or "FOLDER OTHER no" for each two folders of core: whether the table of CONTRIBUTING.md has the arrow
list_arrows ()
{
  awk -F'|' '/^\| `core\/[a-z-]*\/`/ {
    gsub (/[` ]/, "", $2)
    sub (/\/$/, "", $2)
    room[++n] = $2
    row[n] = $4
  }
  END {
    for (i = 1; i <= n; i++)
      for (j = 1; j <= n; j++)
        print room[i], room[j], i == j || index (row[i], "`" room[j] "`") ? "yes" : "no"
  }' "$checks/../../CONTRIBUTING.md"
}

# point_at FOLDER OTHER: a source of FOLDER that includes a header of OTHER
point_at ()
{
  printf '%s\n#include "%s/%s-inner.h"\n' "$spdx" "${2##*/}" "${2##*/}" >"$1/to-${2##*/}.c"
}

# expect STATUS CHECK WHAT [further arguments]; status "bad": any but 0
expect ()
{
  status=$1
  check=$2
  what=$3
  shift 3
  n=$((n + 1))
  sh "$checks/check-$check.sh" "$scratch/tree" "$@" >"$scratch/out" 2>&1
  got=$?
  if [ $got -eq 77 ]; then
    echo "ok $n - $check: $what # SKIP $(tail -n 1 "$scratch/out")"
  elif [ "$status" = 0 ] && [ $got -ne 0 ]; then
    echo "not ok $n - $check: $what"
    sed 's/^/# /' "$scratch/out"
    rc=1
  elif [ "$status" = bad ] && [ $got -eq 0 ]; then
    echo "not ok $n - $check did not notice: $what"
    rc=1
  else
    echo "ok $n - $check: $what"
  fi
}

# spoil CHECK WHAT FILE TEXT: one more line in FILE of a good tree
spoil ()
{
  good_tree
  mkdir -p "$(dirname "$3")"
  printf '%b\n' "$4" >>"$3"
  expect bad "$1" "$2"
}

# What every good tree starts with: the folders of core, and a source for each arrow that they may have
list_arrows >"$scratch/arrows"
mkdir "$scratch/rooms"
cd "$scratch/rooms" || exit 99
while read -r room other yes; do
  mkdir -p "${room#core/}"
  printf '%s\n#pragma once\n' "$spdx" >"${room#core/}/${room##*/}-inner.h"
  [ "$yes" = no ] || point_at "${room#core/}" "$other"
done <"$scratch/arrows"

good_tree
for check in includes format format-names heads readmes sizes text headers; do
  expect 0 $check "a good tree"
done

# Every arrow between folders of core that the table does not have, all in one tree
good_tree
wanted=0
while read -r room other yes; do
  [ "$yes" = no ] || continue
  wanted=$((wanted + 1))
  point_at "$room" "$other"
done <"$scratch/arrows"
found=$(sh "$checks/check-includes.sh" . | grep -c ' may not include ')
n=$((n + 1))
if [ $wanted -gt 0 ] && [ "$found" -eq $wanted ]; then
  echo "ok $n - includes: each of $wanted forbidden arrows between folders of core"
else
  echo "not ok $n - includes: $found of $wanted forbidden arrows between folders of core were noticed"
  rc=1
fi

spoil includes "a header of the kernels that the folder may not have" core/layer/to-base.c '#include "kernels/kernels.h"'
spoil includes "a folder that is not in the table" core/new/a.c '#include "qconv.h"'
spoil includes "a header without its folder" core/layer/to-base.c '#include "base-inner.h"'
spoil includes "core reaches into a plugin" core/a.c '#include "one.h"'
spoil includes "core reaches into the program" core/a.c '#include "cli/cli.h"'
spoil includes "core reaches into the kernels" core/a.c '#include "kernels/ops.h"'
spoil includes "a plugin reaches into core" plugins/one/one.c '#include "base/inner.h"'
spoil includes "a plugin includes the program interface" plugins/one/one.c '#include "qconv.h"'
spoil includes "a plugin reaches into another" plugins/one/one.c '#include "two.h"'
spoil includes "a way round by .." plugins/one/one.c '#include "../../core/base/inner.h"'
spoil includes "common reaches into a plugin" plugins/common/json.h '#include "one.h"'
spoil includes "the program reaches into core" core/cli/main.c '# include "base/inner.h"'
spoil includes "kernels use more than the backend header" core/kernels/k.c '#include "qconv-plugin.h"'
spoil includes "kernels use GIO" core/kernels/k.c '#include <gio/gio.h>'
spoil includes "cuda uses core" cuda/table.c '#include "base/inner.h"'
spoil includes "the plugin interface includes core" plugin-api/qconv-plugin.h '#include "base/inner.h"'
spoil format-names "a format in core" core/a.c 'const char *s = "GGUF";'
spoil format-names "a format behind a comment" core/cli/main.c '/* x */ int nvfp4; /* y'
spoil format-names "a metadata key of a format" core/a.c 'const char *s = "general.architecture";'
spoil format-names "the end of such a key" core/a.c 'const char *s = ".attention.head_count";'
spoil sizes "a long file" core/a.c "$(awk 'BEGIN { for (i = 0; i < 500; i++) printf "\\n" }')"
spoil sizes "a long line" core/a.c "/* $(awk 'BEGIN { for (i = 0; i < 120; i++) printf "x" }') */"
spoil sizes "a long function" core/a.c "int\nh (void)\n{$(awk 'BEGIN { for (i = 0; i < 60; i++) printf "\\n" }')}"
good_tree
echo 'int x;' >core/b.c
expect bad text "no licence line"
spoil text "a note to oneself" core/a.c '/* FIX''ME: later */'
spoil text "a script that does not parse" data/good.sh 'if true; then'
spoil format "an indented line" core/a.c '  int x;'
spoil heads "a script without a head" data/good.py '# SPDX-License-Identifier: LGPL-2.1-or-later\nimport sys'
good_tree
printf '/* SPDX-License-Identifier: LGPL-2.1-or-later */\n#include "inner.h"\n/* Too late to be a head of the file */\n' \
  >core/b.c
expect bad heads "a source that begins with an include"
good_tree
printf '#!/bin/sh\n# SPDX-License-Identifier: LGPL-2.1-or-later\n# usage: good.sh ONE TWO THREE FOUR\ntrue\n' >data/good.sh
expect bad heads "a script whose head is its usage alone"
spoil readmes "a file that is not there" core/README.md 'See `layer/none.c`.'
spoil readmes "a folder that is not there" core/README.md 'See `data/none/`.'
spoil readmes "a link that leads nowhere" core/README.md 'See [this](none.md).'
spoil readmes "a function that is nowhere" core/README.md 'It calls `none()`.'
spoil readmes "a function that another file has" core/README.md 'It calls `f()` of `inner.h`.'
spoil readmes "a file of another folder by its last name" plugins/one/README.md 'See `a.c`.'
spoil headers "a header that lacks another" core/qconv.h 'gsize f (void);'

good_tree
printf '# comment\ncore/a.c gguf no longer there\n' >tests/allow
mkdir tests/lint
mv tests/allow tests/lint/format-names.allow
expect bad format-names "an exception that is not needed"

rm -rf "$scratch/tree"
mkdir "$scratch/tree"
for check in includes format format-names heads readmes sizes text headers; do
  expect bad $check "an empty tree"
done
expect bad pkgconfig "an empty tree" "$scratch/tree"
good_tree
rm -r core/kernels/*
expect bad includes "a folder without files"

# The counter of results, which decides whether all of this was run
# results LOG OUTPUT [count-results' arguments]: OUTPUT are the last lines, with LOG for the folder of the log
results ()
{
  n=$((n + 1))
  printf '%b' "$1" >"$scratch/log.json"
  printf '%b\n' "$2" >"$scratch/wanted"
  shift 2
  python3 "$checks/../count-results.py" "$@" "$scratch/log.json" | sed "s,$scratch,LOG," \
    | tail -n "$(wc -l <"$scratch/wanted")" >"$scratch/out"
  if cmp -s "$scratch/out" "$scratch/wanted"; then
    echo "ok $n - results: $(tail -n 1 "$scratch/wanted")"
  else
    echo "not ok $n - results: $(tail -n 1 "$scratch/wanted")"
    sed 's/^/# got: /' "$scratch/out"
    rc=1
  fi
}
results '' 'failed: no test ran, says LOG/log.json\n0 passed, 1 failed, 0 skipped'
results '{"name":"a","result":"OK","stdout":"ok 1 /a\\nok 2 /b # SKIP why\\n"}\n' \
  'skipped: a /b: why\n1 passed, 0 failed, 1 skipped'
results '{"name":"a","result":"FAIL","stdout":"ok 1 /a\\nnot ok 2 /b\\n"}\n' \
  'failed: a /b: FAIL (log: LOG/log.txt)\n1 passed, 1 failed, 0 skipped'
results '{"name":"a","result":"ERROR","stdout":"ok 1 /a\\nBail out! ERROR:x.c:7:f: no\\n"}\n' \
  'failed: a: ERROR: Bail out! ERROR:x.c:7:f: no (log: LOG/log.txt)\n1 passed, 1 failed, 0 skipped'
results '{"name":"a","result":"TIMEOUT","stdout":"ok 1 /a\\n"}\n' \
  'failed: a: TIMEOUT (log: LOG/log.txt)\n1 passed, 1 failed, 0 skipped'
results '{"name":"a","result":"FAIL"}\n{"name":"b","result":"SKIP","stdout":"why"}\n{"name":"c","result":"OK"}\n' \
  'skipped: b: why\nfailed: a: FAIL (log: LOG/log.txt)\n1 passed, 1 failed, 1 skipped'
results '{"name":"c","result":"OK"}\n' 'failed: meson compile\nfailed: meson setup\n1 passed, 2 failed, 0 skipped' \
  --failed "$(printf 'meson compile\nmeson setup')"

# A build that fails must be named at the end of the run: meson fails here, and logs nothing
good_tree
cp "$checks/../run.sh" "$checks/../count-results.py" tests/
mkdir tests/peer bin
printf '#!/bin/sh\nexit 1\n' >bin/meson
chmod +x bin/meson
n=$((n + 1))
PATH=$scratch/tree/bin:$PATH sh tests/run.sh --no-install >"$scratch/out" 2>&1
got=$?
if [ $got -ne 0 ] && tail -n 2 "$scratch/out" | head -n 1 | grep -q '^failed: meson setup .*exit status 1' \
    && [ "$(tail -n 1 "$scratch/out")" = '0 passed, 1 failed, 0 skipped' ]; then
  echo "ok $n - run.sh: a build that fails"
else
  echo "not ok $n - run.sh: a build that fails"
  sed 's/^/# /' "$scratch/out"
  rc=1
fi

echo "1..$n"
exit $rc
