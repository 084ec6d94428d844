# SPDX-License-Identifier: LGPL-2.1-or-later
# --resume says what it takes and what it does not; resume.py and test-resume.c compare bytes
. "$LIB"
make_model in.safetensors
kept=.out.safetensors.qconv-partial

run --to f16-safetensors --resume --dry-run --json in.safetensors out.safetensors >plan
tail -n 1 plan
rm plan
list
run --to f16-safetensors --resume in.safetensors out.safetensors | without_times
list
run --to f16-safetensors --resume in.safetensors out.safetensors
run --to f16-safetensors --resume in.safetensors -
run edit --resume out.safetensors
rm out.safetensors

echo "names that others have taken:"
ln -s in.safetensors "$kept"
run --to bf16-safetensors --resume in.safetensors out.safetensors
rm "$kept"
echo text >"$kept"
run --to bf16-safetensors --resume in.safetensors out.safetensors
cat "$kept"
rm "$kept"
list
