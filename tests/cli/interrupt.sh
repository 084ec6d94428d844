# SPDX-License-Identifier: LGPL-2.1-or-later
# A signal during the work gives status 130 and leaves no file; a second one does so without waiting for the work
. "$LIB"
make_model in.safetensors

# Converts with a full pipe as standard error, so that the work blocks at its first line of progress. Returns when the
# output is there under its temporary name
start ()
{
  mkfifo pipe
  exec 3<>pipe
  dd if=/dev/zero of=pipe bs=4096 count=4096 oflag=nonblock 2>full
  grep -q 'temporarily unavailable' full || echo "the pipe cannot be filled"
  "$QCONV" --to bf16-safetensors --progress=json in.safetensors out.safetensors >report 2>pipe &
  child=$!
  waited=0
  while [ "$(ls -A | wc -l)" -lt 5 ] && [ $waited -lt 600 ]; do
    sleep 0.1
    waited=$((waited + 1))
  done
  [ $waited -lt 600 ] || echo "no temporary file"
}

# Prints the exit status of the program and what it left
finish ()
{
  wait $child
  echo "= $?"
  [ -s report ] && echo "there is a report"
  [ -z "$reader" ] || kill $reader
  rm -f pipe full report lines
  list
}

echo "one signal:"
start
kill -TERM $child
sleep 0.2
tr -d '\000' <&3 >lines 3<&- &
reader=$!
finish

# Nobody reads the pipe now, so the work never stops
echo "signals until it ends:"
reader=
start
waited=0
while [ "$(ls -A | wc -l)" -ge 5 ] && [ $waited -lt 50 ]; do
  kill -TERM $child 2>/dev/null
  sleep 0.1
  waited=$((waited + 1))
done
finish

echo "SIGHUP:"
reader=
start
kill -HUP $child
sleep 0.2
tr -d '\000' <&3 >lines 3<&- &
reader=$!
finish

# A limit of the shell on the size of files is in blocks of 512 bytes, or of 1024
echo "a file that may not grow:"
(ulimit -f 20 && "$QCONV" --to bf16-safetensors in.safetensors out.safetensors) 2>lines
echo "= $?"
sed 's/: .*: /: FILE: /' lines
rm lines
list
