/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Finds facts about a model in the metadata keys of GGUF, which other containers may carry, too. */
#include "gguf-facts.h"

#include "gguf-keys.h"

void
qconv_gguf_add_facts (QconvDirectory *d)
{
  GVariant *architecture = qconv_directory_metadata (d, GGUF_ARCHITECTURE), *heads;
  g_autofree char *key = NULL;

  if (architecture == NULL || !g_variant_is_of_type (architecture, G_VARIANT_TYPE_STRING))
    return;
  qconv_directory_set_fact (d, QCONV_FACT_ARCHITECTURE, architecture);
  key = g_strconcat (g_variant_get_string (architecture, NULL), GGUF_HEAD_COUNT, NULL);
  heads = qconv_directory_metadata (d, key);
  if (heads != NULL && g_variant_is_of_type (heads, G_VARIANT_TYPE_UINT32))
    qconv_directory_set_fact (d, QCONV_FACT_N_HEADS, g_variant_new_uint64 (g_variant_get_uint32 (heads)));
  else if (heads != NULL && g_variant_is_of_type (heads, G_VARIANT_TYPE_UINT64))
    qconv_directory_set_fact (d, QCONV_FACT_N_HEADS, heads);
}
