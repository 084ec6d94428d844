# SPDX-License-Identifier: LGPL-2.1-or-later
# GGUF files that are written: their names and plans, what they hold, and what is refused or warned of
. "$LIB"
need_target q4_k_m-gguf
only_families flux1 t5 llm_dense gemma clip_text krea2
"$MAKE_MODEL" --family flux1 --variant tiny --set depth_double=1 --set depth_single=1 flux.safetensors

# made ARGUMENT...: runs the program, and shows its messages but no errors of layers
made ()
{
  run "$@" | grep '^[$!=]'
}

# types FILE: the layers of each type
types ()
{
  "$QCONV" inspect "$1" | sed -n '/^  scheme/,/^$/p'
}

echo "- a mixture: the name of the file, what inspect and verify say"
made --to q4_k_m-gguf flux.safetensors
list
types flux-Q4_K_M.gguf
"$QCONV" inspect flux-Q4_K_M.gguf | grep 'format\|family\|general'
run verify -q flux-Q4_K_M.gguf
run --to q4_k_m-gguf flux.safetensors

echo "- the plan as JSON has the size of the file, to the byte"
"$QCONV" --to q4_k_m-gguf --dry-run --json --force flux.safetensors >plan
"$CHECK_JSON" target output_bytes layers/0 <plan
planned=$("$CHECK_JSON" output_bytes <plan | sed 's/.* //')
[ "$planned" = "$(wc -c <flux-Q4_K_M.gguf)" ] && echo "as planned"

echo "- a GGUF file of another type, the same type, and back"
made --to q8_0-gguf flux-Q4_K_M.gguf again.gguf
types again.gguf
made --to q4_k_m-gguf flux-Q4_K_M.gguf same.gguf
types same.gguf
made --to bf16-safetensors flux-Q4_K_M.gguf
list

echo "- metadata"
made edit flux-Q4_K_M.gguf edited.gguf --metadata general.name=mine
run edit flux-Q4_K_M.gguf edited.gguf --metadata general.file_type=7 --force
"$QCONV" inspect edited.gguf | grep 'general\.'

echo "- models without a word for their architecture, or without loaders"
"$MAKE_MODEL" --family krea2 --variant tiny --sparse krea2.safetensors
made --to q8_0-gguf --dry-run krea2.safetensors
"$MAKE_MODEL" --layers 1 --rows 256 --cols 256 layers.safetensors
made --to q8_0-gguf layers.safetensors
made --to q8_0-gguf -o architecture=flux layers.safetensors stated.gguf
"$MAKE_MODEL" --family clip_text --variant tiny --sparse clip.safetensors
run --to q8_0-gguf clip.safetensors

echo "- text encoders: names, a tokenizer that is missing, heads that are not known, names that stay"
"$MAKE_MODEL" --family gemma --variant tiny gemma.safetensors
made --to q4_k_m-gguf gemma.safetensors
run --to q4_k_m-gguf -o tokenizer=gemma-Q4_K_M.gguf gemma.safetensors other.gguf
"$QCONV" inspect gemma-Q4_K_M.gguf | grep 'gemma3\.'
"$MAKE_MODEL" --family llm_dense --variant tiny llama.safetensors
run --to q4_k_m-gguf llama.safetensors
"$MAKE_MODEL" --family t5 --variant tiny t5.safetensors
run --to q8_0-gguf --names keep t5.safetensors kept.gguf
made --to q8_0-gguf -o architecture=t5 --names keep t5.safetensors kept.gguf

echo "- weights too small for the scales of a type stay plain"
header='{"a.weight":{"dtype":"BF16","shape":[256,256],"data_offsets":[0,131072]}}'
{
  # shellcheck disable=SC2059 # the bytes of a length
  printf "$(printf '\\%03o\\0\\0\\0\\0\\0\\0\\0' ${#header})"
  printf %s "$header"
  head -c 131072 /dev/zero | tr '\0' 7
} >small.safetensors
made --to q6_k-gguf --effort rtn --only . small.safetensors
types small-Q6_K.gguf

echo "- options of the file"
run --to q8_0-gguf -o keep-type=f8 flux.safetensors f8.gguf
made --to q8_0-gguf -o keep-type=f16 flux.safetensors f16.gguf
"$QCONV" inspect --all f16.gguf | grep '^  img_in.weight\|^  img_in.bias'
run --to q8_0-gguf flux.safetensors flux.safetensors
