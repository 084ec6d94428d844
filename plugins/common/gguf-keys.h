/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Metadata keys of GGUF files (ggml: docs/gguf.md). The gguf plugin reads them; writers of other containers leave out
   those that describe a GGUF file. */
#pragma once

/* Prefixes of the keys that describe the file, its tokenizer and how it was made. "comfy.gguf." is ComfyUI-GGUF's. */
#define GGUF_GENERAL "general."
#define GGUF_TOKENIZER "tokenizer."
#define GGUF_QUANTIZE "quantize."
#define GGUF_SPLIT "split."
#define GGUF_COMFY "comfy.gguf."

#define GGUF_ARCHITECTURE GGUF_GENERAL "architecture"
#define GGUF_ALIGNMENT GGUF_GENERAL "alignment"
#define GGUF_FILE_TYPE GGUF_GENERAL "file_type"
#define GGUF_QUANTIZATION_VERSION GGUF_GENERAL "quantization_version"
/* Follows the value of GGUF_ARCHITECTURE: "llama.attention.head_count". */
#define GGUF_HEAD_COUNT ".attention.head_count"
#define GGUF_HEAD_COUNT_KV GGUF_HEAD_COUNT "_kv"
#define GGUF_KEY_LENGTH ".attention.key_length"
#define GGUF_BLOCK_COUNT ".block_count"
#define GGUF_SPLIT_NO GGUF_SPLIT "no"
#define GGUF_SPLIT_COUNT GGUF_SPLIT "count"
#define GGUF_SPLIT_TENSORS GGUF_SPLIT "tensors.count"
#define GGUF_TOKENIZER_MODEL GGUF_TOKENIZER "ggml.model"
/* Followed by the name of a tensor: its shape before it was stored in another one. */
#define GGUF_ORIG_SHAPE GGUF_COMFY "orig_shape."
