# SPDX-License-Identifier: LGPL-2.1-or-later
# Tests of wrong command lines: the message, the suggestion and the exit status
. "$LIB"
make_model in.safetensors
run
run inspcet
run inspcet in.safetensors
run --tto x in.safetensors
run -q in.safetensors
run --force=yes in.safetensors
run in.safetensors
run --to
run --to nothing-like-it in.safetensors
run --to bf16-safetensor in.safetensors
run --to bf16-safetensors --from safetensor in.safetensors
run --effort much in.safetensors
run --progress=jsn in.safetensors
run --memory lots in.safetensors
run --memory 0 in.safetensors
run --memory 1X in.safetensors
run --memory 99999999T in.safetensors
run -j many in.safetensors
run -j0 in.safetensors
run --to bf16-safetensors --device cuda in.safetensors
run --to bf16-safetensors --names diffusers in.safetensors
run --to bf16-safetensors --component vae in.safetensors
run inspect
run inspect one two
run inspect --to x in.safetensors
run targets --force
run plugins safetensor
list
