/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Finds facts about a model in the metadata keys of GGUF, which other containers may carry, too. */
#include "gguf-facts.h"

#include "gguf-keys.h"

/* Records the number under @key, which stands behind the architecture, as @fact. Does nothing if it is missing or is
   an array, as files with other heads in each layer have. */
static void
add_number (QconvDirectory *d, const char *architecture, const char *key, QconvFact fact)
{
  g_autofree char *full = g_strconcat (architecture, key, NULL);
  GVariant *value = qconv_directory_metadata (d, full);

  if (value != NULL && g_variant_is_of_type (value, G_VARIANT_TYPE_UINT32))
    qconv_directory_set_fact (d, fact, g_variant_new_uint64 (g_variant_get_uint32 (value)));
  else if (value != NULL && g_variant_is_of_type (value, G_VARIANT_TYPE_UINT64))
    qconv_directory_set_fact (d, fact, value);
}

void
qconv_gguf_add_facts (QconvDirectory *d)
{
  GVariant *value = qconv_directory_metadata (d, GGUF_ARCHITECTURE);
  const char *architecture;

  if (value == NULL || !g_variant_is_of_type (value, G_VARIANT_TYPE_STRING))
    return;
  architecture = g_variant_get_string (value, NULL);
  qconv_directory_set_fact (d, QCONV_FACT_ARCHITECTURE, value);
  add_number (d, architecture, GGUF_HEAD_COUNT, QCONV_FACT_N_HEADS);
  add_number (d, architecture, GGUF_KEY_LENGTH, QCONV_FACT_HEAD_DIM);
  add_number (d, architecture, GGUF_BLOCK_COUNT, QCONV_FACT_N_BLOCKS);
}
