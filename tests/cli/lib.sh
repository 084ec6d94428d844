# SPDX-License-Identifier: LGPL-2.1-or-later
# Functions that the scripts of this folder share

# A no-break space, which GLib puts between a number and its unit
nbsp=$(printf '\302\240')

# Runs the program; prints its output, its errors (after "! ") and its exit status. Lines of progress, which only slow
# machines print, are left out if no argument is about progress
run ()
{
  echo "\$ qconv $*"
  "$QCONV" "$@" >.stdout 2>.stderr </dev/null
  status=$?
  sed "s/^/  /;s/$nbsp/ /g" .stdout
  case " $*" in
  *" --progress"*) sed 's/^/! /' .stderr ;;
  *) sed '/^qconv: [A-Za-z ]* [0-9]* %/d;s/^/! /' .stderr ;;
  esac
  rm -f .stdout .stderr
  echo "= $status"
}

# Replaces durations, which differ from run to run
without_times ()
{
  sed 's/ in [0-9.]* s, .*/ in TIME/'
}

# Lists the folder, temporary files included
list ()
{
  echo "files: $(ls -A | tr '\n' ' ')"
}

need_target ()
{
  targets=$("$QCONV" targets) || exit 1
  printf '%s\n' "$targets" | grep -q "^$1 " || {
    echo "the target $1 was not built"
    exit 77
  }
}

need_format ()
{
  formats=$("$QCONV" formats) || exit 1
  printf '%s\n' "$formats" | grep -q "^$1 " || {
    echo "the format $1 was not built"
    exit 77
  }
}

# only_families NAME...: the program reads these families and the generic one. Reading all takes most of a start, and
# scripts with many starts use few families
only_families ()
{
  mkdir -p "$HOME/data/families" || exit 1
  for name in generic "$@"; do
    ln -s "$QCONV_DATA_PATH/families/$name.json" "$HOME/data/families" || exit 1
  done
  ln -s "$QCONV_DATA_PATH/lora" "$HOME/data" || exit 1
  QCONV_DATA_PATH=$HOME/data
}

# make_family FAMILY VARIANT FILE [options]: writes a model of a known family
make_family ()
{
  family=$1 variant=$2
  shift 2
  "$MAKE_MODEL" --family "$family" --variant "$variant" "$@" || exit 1
}

# make_model FILE [options]: writes a model of four layers
make_model ()
{
  "$MAKE_MODEL" --layers 4 --rows 256 --cols 512 "$@" || exit 1
}

# Makes one weight of a BF16 file NaN
spoil ()
{
  printf '\300\177' | dd of="$1" bs=1 seek=$(($(wc -c <"$1") - 1000)) conv=notrunc 2>/dev/null
}

# rename_tensors EXPRESSION FILE: changes the header of a safetensors file with sed
rename_tensors ()
{
  n=$(od -An -tu4 -N4 "$2" | tr -d ' ')
  head -c $((8 + n)) "$2" | tail -c +9 | sed -e "$1" >header
  size=$(wc -c <header)
  {
    # The length of the header: eight bytes, the lowest first
    # shellcheck disable=SC2059
    printf "$(printf '\\%03o\\%03o\\%03o\\0\\0\\0\\0\\0' $((size % 256)) $((size / 256 % 256)) $((size / 65536)))"
    cat header
    tail -c +$((9 + n)) "$2"
  } >renamed
  rm header
  mv renamed "$2"
}
