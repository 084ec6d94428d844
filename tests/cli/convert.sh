# SPDX-License-Identifier: LGPL-2.1-or-later
# Plain conversions: inspect, plan, convert, verify
. "$LIB"
make_model in.safetensors
run inspect in.safetensors
"$QCONV" inspect --json in.safetensors | "$CHECK_JSON" . format metadata layers layers/0 tensors tensors/0/shape
run --to f32-safetensors --dry-run in.safetensors
"$QCONV" --to f32-safetensors --dry-run --json in.safetensors >plan
"$CHECK_JSON" target output_bytes layers layers/0 <plan
list
run --to f32-safetensors in.safetensors | without_times
planned=$("$CHECK_JSON" output_bytes <plan | sed 's/.* //')
[ "$planned" = "$(wc -c <in-f32-safetensors.safetensors)" ] && echo "the size is as planned"
run --to f32-safetensors in.safetensors
"$QCONV" in.safetensors --to=f32-safetensors --force --json -- in-f32-safetensors.safetensors \
  | "$CHECK_JSON" . ok problems layers layers/0/name layers/0/scheme layers/0/relmse layers/0/sqnr_db
run --to bf16-safetensors -j1 --progress none in-f32-safetensors.safetensors back.safetensors | without_times
run verify back.safetensors --against in.safetensors
"$QCONV" verify back.safetensors --json | "$CHECK_JSON" ok problems layers
"$QCONV" --to copy-safetensors --progress=json in.safetensors copy.safetensors 2>lines >/dev/null
"$CHECK_JSON" --lines done_bytes total_bytes layer rate eta_s <lines
make_model shards --format shards --shard-size 300000
run --to bf16-safetensors shards joined.safetensors | without_times
run --to bf16-safetensors joined.safetensors again.safetensors | without_times
cmp joined.safetensors again.safetensors && echo "the same again"
rm plan lines
list
