# SPDX-License-Identifier: LGPL-2.1-or-later
# Quantizing: plan, result, report, and weights that are NaN
. "$LIB"
need_target nvfp4-comfy
make_model in.safetensors
make_model nan.safetensors
spoil nan.safetensors
run --to nvfp4-comfy --dry-run in.safetensors
"$QCONV" --to nvfp4-comfy --dry-run --json in.safetensors >plan
"$CHECK_JSON" . target layers layers/0 layers/0/shape <plan
run --to nvfp4-comfy in.safetensors out.safetensors | without_times
[ "$("$CHECK_JSON" output_bytes <plan | sed 's/.* //')" = "$(wc -c <out.safetensors)" ] && echo "the size is as planned"
run inspect out.safetensors
"$QCONV" inspect --json out.safetensors | "$CHECK_JSON" format layers/0/scheme layers/0/shape
run verify out.safetensors
"$QCONV" verify out.safetensors --json | "$CHECK_JSON" ok layers layers/0/scheme layers/0/relmse layers/0/sqnr_db
run verify --against in.safetensors out.safetensors
"$QCONV" --to nvfp4-comfy --effort rtn -j1 in.safetensors rtn1.safetensors >/dev/null
"$QCONV" --to nvfp4-comfy --effort rtn -j4 --memory 64M in.safetensors rtn4.safetensors >/dev/null
cmp rtn1.safetensors rtn4.safetensors && echo "threads change nothing"
run --to nvfp4-comfy --keep '[.]1$' in.safetensors kept.safetensors | without_times
run --to nvfp4-comfy --only 'no layer is called so' in.safetensors bad.safetensors
run --to nvfp4-comfy --effort rtn -o nvfp4.nonsense=1 in.safetensors bad.safetensors
run --to nvfp4-comfy nan.safetensors bad.safetensors
run --to nvfp4-comfy --memory 1K in.safetensors tiny.safetensors
# A file that was damaged after the conversion
cp out.safetensors damaged.safetensors
dd if=/dev/zero of=damaged.safetensors bs=1 seek=$(($(wc -c <damaged.safetensors) - 50000)) count=40000 conv=notrunc 2>dd
run verify damaged.safetensors --against in.safetensors
rm plan dd
list
