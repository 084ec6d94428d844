/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Selects the metadata of the input that an output keeps. Writers call it. */
#include "output-metadata.h"

#include "gguf-keys.h"

/* Keys of the ModelSpec standard and of kohya's sd-scripts that hash the weights. */
static const char *const hashes[] = { "modelspec.hash_sha256", "sshs_model_hash", "sshs_legacy_hash", NULL };

/* Starts of the keys that describe a GGUF file and not the model. */
static const char *const gguf_prefixes[]
    = { GGUF_GENERAL, GGUF_TOKENIZER, GGUF_QUANTIZE, GGUF_SPLIT, GGUF_COMFY, NULL };

static gboolean
is_stale (const QconvDirectory *input, const char *key)
{
  if (!g_variant_is_of_type (qconv_directory_metadata (input, key), G_VARIANT_TYPE_STRING)
      || g_strv_contains (hashes, key))
    return TRUE;
  if (!g_str_equal (qconv_directory_container (input), "gguf"))
    return FALSE;
  for (guint i = 0; gguf_prefixes[i] != NULL; i++)
    if (g_str_has_prefix (key, gguf_prefixes[i]))
      return TRUE;
  return FALSE;
}

void
qconv_output_inherit_metadata (QconvOutput *o)
{
  const QconvDirectory *input = qconv_output_input (o);
  const char *const *keys = qconv_directory_metadata_keys (input);

  for (guint i = 0; keys[i] != NULL; i++)
    if (is_stale (input, keys[i]))
      qconv_output_set_metadata (o, keys[i], NULL);
  /* transformers refuses a file without this key (modeling_utils.py load_state_dict) */
  if (!g_strv_contains (keys, "format") || is_stale (input, "format"))
    qconv_output_set_metadata (o, "format", "pt");
}
