# SPDX-License-Identifier: LGPL-2.1-or-later
# A signal during the work gives status 130 and leaves no file
. "$LIB"
make_model in.safetensors

# Standard error is a full pipe, so that the work blocks at its first line of progress
mkfifo pipe
exec 3<>pipe
dd if=/dev/zero of=pipe bs=4096 count=4096 oflag=nonblock 2>full
grep -q 'temporarily unavailable' full || echo "the pipe cannot be filled"
"$QCONV" --to bf16-safetensors --progress=json in.safetensors out.safetensors >report 2>pipe &
child=$!

# The output under its temporary name
waited=0
while [ "$(ls -A | wc -l)" -lt 5 ] && [ $waited -lt 600 ]; do
  sleep 0.1
  waited=$((waited + 1))
done
[ $waited -lt 600 ] || echo "no temporary file"
kill -TERM $child
sleep 0.2
tr -d '\000' <&3 >lines 3<&- &
reader=$!
wait $child
echo "= $?"
kill $reader
[ -s report ] && echo "there is a report"
rm pipe full report lines
list
