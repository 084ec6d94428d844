#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# usage: run.sh [--no-install] [--peers] [meson test arguments]
# Builds qconv and runs every test: as it is, with clang's sanitizers, and under valgrind. The last lines name every
# test and step that failed, and count all.
# --peers  also compares with the large Python packages (torch), which takes some gigabytes
# With arguments for `meson test` only the first of the three is run.
set -u

root=$(cd "$(dirname "$0")/.." && pwd)
build=$root/build
sanitized=$root/build-sanitized
install=yes
peers=no
logs=
failed=
newline='
'

while [ $# -gt 0 ]; do
  case $1 in
  --no-install) install=no ;;
  --peers) peers=yes ;;
  *) break ;;
  esac
  shift
done

say ()
{
  printf '\n== %s\n' "$*"
}

# Ends the run: says what was skipped or failed, and how many cases passed
finish ()
{
  say "all builds together"
  if ! command -v python3 >/dev/null; then
    printf 'failed: %s\n0 passed, 1 failed, 0 skipped\n' "${failed:-no python3 here}"
    exit 1
  fi
  # shellcheck disable=SC2086 # a list of words
  python3 "$root/tests/count-results.py" --failed "$failed" $logs
  exit
}

# step COMMAND...: a step that is no test. A failure is counted at the end
step ()
{
  "$@" && return
  failed="$failed${failed:+$newline}$* (exit status $?; its output is above)"
  return 1
}

# Line numbers are all that reports of tests need of debug information; the rest takes an eighth of the compiler's time
CFLAGS="-g1${CFLAGS:+ $CFLAGS}"
export CFLAGS

# build_in DIR [meson options]
build_in ()
{
  dir=$1
  shift
  if [ -f "$dir/build.ninja" ]; then
    step meson configure "$dir" -Dtests=true "$@" || return
  else
    step meson setup "$dir" "$root" "$@" || return
  fi
  step meson compile -C "$dir"
}

# test_in DIR LOG [meson test arguments]: meson adds the name of a setup to that of its log. Two tests more than there
# are processors run at a time, because some wait for the disk or the clock
test_in ()
{
  dir=$1
  log=$2
  shift 2
  rm -f "$dir/meson-logs/$log.json"
  meson test -C "$dir" --no-rebuild --num-processes $(($(nproc) + 2)) --print-errorlogs \
    --logbase "${log%-valgrind}" "$@"
  logs="$logs $dir/meson-logs/$log.json"
}

sanitizing_compiler ()
{
  probe=$build/probe
  mkdir -p "$probe"
  echo 'int main (void) { return 0; }' >"$probe/probe.c"
  for compiler in clang gcc; do
    if $compiler -fsanitize=address,undefined "$probe/probe.c" -o "$probe/probe" 2>/dev/null && "$probe/probe"; then
      echo $compiler
      return
    fi
  done
}

if [ "$install" = yes ]; then
  say "packages"
  step sh "$root/data/install-packages.sh" test || finish
fi

say "build"
build_in "$build" -Dwerror=true || finish

say "Python packages to compare with"
if [ $peers = yes ]; then
  step sh "$root/tests/peer/make-venv.sh" "$build/peer-venv" large
else
  sh "$root/tests/peer/make-venv.sh" "$build/peer-venv" small
fi

say "tests"
if [ $# -gt 0 ]; then
  test_in "$build" testlog "$@"
else
  test_in "$build" testlog

  compiler=$(sanitizing_compiler)
  if [ -n "$compiler" ]; then
    say "tests with sanitizers ($compiler)"
    CC=$compiler
    CXX=clang++
    [ "$compiler" = clang ] || CXX=g++
    export CC CXX
    # Kernels for CUDA devices run here as tests of the processor; nvcc has compiled them in the first build
    if build_in "$sanitized" -Dwerror=true -Dcuda=disabled -Db_sanitize=address,undefined -Db_lundef=false; then
      QCONV_TEST_SMALL=1 ASAN_OPTIONS=detect_leaks=1 UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1 \
        test_in "$sanitized" sanitized --no-suite lint --no-suite peer --no-suite slow --no-suite no-sanitizer
    fi
    unset CC CXX
  else
    say "no compiler here has sanitizers: left out"
  fi

  if command -v valgrind >/dev/null; then
    say "tests under valgrind"
    # A suite that is asked for wins over what the setup leaves out
    test_in "$build" testlog-valgrind --setup valgrind --suite core --suite kernels --suite plugins \
      --suite fuzz-replay --no-suite no-valgrind
  else
    say "no valgrind here: left out"
  fi
fi

finish
