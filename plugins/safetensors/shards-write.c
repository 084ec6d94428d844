/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Sets of shards "NAME-00001-of-00003.safetensors" and their index, as transformers and diffusers write them
   (huggingface_hub: serialization/_base.py, transformers: modeling_utils.py save_pretrained). */
#include <string.h>

#include "header.h"
#include "json-write.h"
#include "open.h"
#include "part-name.h"

/* Loaders refuse a shard that does not say "pt" (transformers: modeling_utils.py load_state_dict). */
#define FORMAT "format"

static char *
part_name (const char *name, guint no, guint n)
{
  return qconv_part_name (name, ".safetensors", no, n);
}

static gboolean
part_metadata (const QconvDirectory *whole, guint no, guint n, QconvDirectory *part, GError **error)
{
  const char *const *keys = qconv_directory_metadata_keys (whole);

  for (guint i = 0; keys[i] != NULL; i++)
    if ((no == 0 || g_str_equal (keys[i], FORMAT))
        && !qconv_directory_set_metadata (part, keys[i], qconv_directory_metadata (whole, keys[i]), error))
      return FALSE;
  return TRUE;
}

static char *
index_name (const char *name)
{
  return g_strconcat (name, g_str_has_suffix (name, ".safetensors") ? "" : ".safetensors", ".index.json", NULL);
}

static gint
compare_names (gconstpointer a, gconstpointer b)
{
  return strcmp ((*(const QconvTensor *const *) a)->name, (*(const QconvTensor *const *) b)->name);
}

/* Appends the same text as json.dumps (…, indent=2, sort_keys=True) and a newline. */
static gboolean
write_index (const QconvDirectory *whole, const char *const *parts, GByteArray *text, GError **error)
{
  guint n = qconv_directory_n_tensors (whole);
  g_autofree const QconvTensor **tensors = g_new (const QconvTensor *, n + 1);
  g_autoptr (GString) out = g_string_new ("{\n  \"metadata\": {\n    \"total_size\": ");
  guint64 total = 0;

  for (guint i = 0; i < n; i++)
    {
      tensors[i] = qconv_directory_tensor (whole, i);
      total += tensors[i]->n_bytes;
    }
  qsort (tensors, n, sizeof *tensors, compare_names);
  g_string_append_printf (out, "%" G_GUINT64_FORMAT "\n  },\n  \"weight_map\": {", total);
  for (guint i = 0; i < n; i++)
    {
      g_string_append (out, i > 0 ? ",\n    " : "\n    ");
      qconv_json_append_string (out, tensors[i]->name);
      g_string_append (out, ": ");
      qconv_json_append_string (out, parts[tensors[i]->file]);
    }
  g_string_append (out, "\n  }\n}\n");
  if (out->len > SAFETENSORS_MAX_HEADER)
    return qconv_fail (error, QCONV_ERROR_UNSUPPORTED, "index too large: %" G_GSIZE_FORMAT " bytes, limit %d", out->len,
                       SAFETENSORS_MAX_HEADER);
  g_byte_array_append (text, (const guint8 *) out->str, (guint) out->len);
  return TRUE;
}

const QconvSplit qconv_safetensors_split
    = { .part_name = part_name, .part_metadata = part_metadata, .index_name = index_name, .index = write_index };
