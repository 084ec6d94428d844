/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The table that the module hands over. */
#include "qconv-plugin.h"

#include "open.h"
#include "plain.h"

/* "format": transformers and diffusers; "config": ComfyUI, for LTX-Video and others (comfy/model_detection.py);
   "modelspec.": the ModelSpec standard; "ss_", "sshs_": kohya's sd-scripts; "lora_adapter_metadata": diffusers. */
static const char *const metadata[]
    = { "format", "config", "modelspec.*", "ss_*", "sshs_*", "lora_adapter_metadata", NULL };

static const QconvContainer container = {
  .id = "safetensors",
  .summary = N_ ("Safetensors: one file, or shards with an index"),
  .suffixes = (const char *const[]) { ".safetensors", ".safetensors.index.json", NULL },
  .entries = (const char *const[]) { "*.safetensors.index.json", "*.safetensors", NULL },
  .score = qconv_safetensors_score,
  .open = qconv_safetensors_open,
  .lay_out = qconv_safetensors_lay_out,
  .metadata = metadata,
  .pairs = qconv_safetensors_pairs,
  .split = &qconv_safetensors_split,
};

QCONV_PLUGIN_DEFINE (safetensors, .summary = N_ ("Safetensors files"), .license = "LGPL-2.1-or-later",
                     .gettext_domain = "qconv", .containers = (const QconvContainer *const[]) { &container, NULL },
                     .writers = (const QconvWriter *const[]) { &qconv_safetensors_writer, NULL })
