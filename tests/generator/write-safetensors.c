/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Writes synthetic models as safetensors: one file, or shards with an index. */
#include <glib/gstdio.h>
#include <json-glib/json-glib.h>
#include <string.h>

#include "model-file.h"

/* Returns the header {"NAME":{"dtype":…,"shape":[…],"data_offsets":[…]},…}. Names of families need no
   escapes */
static GString *
header_text (const Model *m, guint first, guint end)
{
  GString *text = g_string_new ("{\"__metadata__\":{\"format\":\"pt\"");
  guint64 offset = 0;

  if (m->facts->config != NULL)
    {
      g_autoptr (JsonNode) node = json_node_init_string (json_node_alloc (), m->facts->config);
      g_autofree char *quoted = json_to_string (node, FALSE);

      g_string_append_printf (text, ",\"config\":%s", quoted);
    }
  g_string_append_c (text, '}');
  for (guint i = first; i < end; i++)
    {
      const ModelTensor *t = m->tensors->pdata[i];
      const ModelType *type = model_tensor_type (m, t, FALSE);
      guint64 n = model_tensor_bytes (t, type);

      g_string_append_printf (text, ",\"%s\":{\"dtype\":\"%s\",\"shape\":[", t->name, type->safetensors);
      for (guint k = 0; k < t->shape.rank; k++)
        g_string_append_printf (text, "%s%" G_GUINT64_FORMAT, k > 0 ? "," : "", t->shape.dim[k]);
      g_string_append_printf (text, "],\"data_offsets\":[%" G_GUINT64_FORMAT ",%" G_GUINT64_FORMAT "]}", offset,
                              offset + n);
      offset += n;
    }
  g_string_append_c (text, '}');
  while (text->len % 8 != 0)
    g_string_append_c (text, ' ');
  return text;
}

/* Writes tensors [first, end) as one file */
static gboolean
write_file (const Model *m, guint first, guint end, const char *path, GError **error)
{
  ModelOutput *o = model_output_new (path, error);
  GString *header;
  guint64 n;

  if (o == NULL)
    return FALSE;
  header = header_text (m, first, end);
  n = GUINT64_TO_LE ((guint64) header->len);
  model_output_put (o, &n, sizeof n);
  model_output_put (o, header->str, header->len);
  g_string_free (header, TRUE);
  for (guint i = first; i < end; i++)
    {
      const ModelTensor *t = m->tensors->pdata[i];

      model_output_data (o, m, t, model_tensor_type (m, t, FALSE));
    }
  return model_output_close (o, error);
}

gboolean
model_write_safetensors (const Model *m, const char *path, GError **error)
{
  return write_file (m, 0, m->tensors->len, path, error);
}

/* Returns: (transfer full) (element-type guint): the index of the first tensor of each shard, then the number of
   tensors */
static GArray *
shard_starts (const Model *m, guint64 *total)
{
  GArray *starts = g_array_new (FALSE, FALSE, sizeof (guint));
  guint64 filled = 0;
  guint i = 0;

  g_array_append_val (starts, i);
  for (*total = 0; i < m->tensors->len; i++)
    {
      const ModelTensor *t = m->tensors->pdata[i];
      guint64 n = model_tensor_bytes (t, model_tensor_type (m, t, FALSE));

      if (filled > 0 && filled + n > m->shard_size)
        {
          g_array_append_val (starts, i);
          filled = 0;
        }
      filled += n;
      *total += n;
    }
  g_array_append_val (starts, i);
  return starts;
}

gboolean
model_write_shards (const Model *m, const char *path, GError **error)
{
  guint64 total;
  g_autoptr (GArray) starts = shard_starts (m, &total);
  g_autoptr (GString) index = g_string_new (NULL);
  g_autofree char *index_path = g_build_filename (path, "model.safetensors.index.json", NULL);
  guint n = starts->len - 1;

  if (g_mkdir_with_parents (path, 0777) != 0)
    {
      g_set_error (error, G_FILE_ERROR, G_FILE_ERROR_FAILED, "%s: cannot create the folder", path);
      return FALSE;
    }
  g_string_append_printf (index, "{\"metadata\":{\"total_size\":%" G_GUINT64_FORMAT "},\"weight_map\":{", total);
  for (guint s = 0; s < n; s++)
    {
      g_autofree char *name = g_strdup_printf ("model-%05u-of-%05u.safetensors", s + 1, n);
      g_autofree char *file = g_build_filename (path, name, NULL);
      guint first = g_array_index (starts, guint, s), end = g_array_index (starts, guint, s + 1);

      if (!write_file (m, first, end, file, error))
        return FALSE;
      for (guint i = first; i < end; i++)
        g_string_append_printf (index, "%s\"%s\":\"%s\"", i > 0 ? "," : "",
                                ((const ModelTensor *) m->tensors->pdata[i])->name, name);
    }
  g_string_append (index, "}}\n");
  return g_file_set_contents (index_path, index->str, (gssize) index->len, error);
}
