/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Writes synthetic models as GGUF version 3: metadata, list of tensors, data; all little-endian, data aligned to 32. */
#include <string.h>

#include "model-file.h"

enum { ALIGNMENT = 32, KV_U32 = 4, KV_STRING = 8 };

static void
put32 (GByteArray *b, guint32 v)
{
  v = GUINT32_TO_LE (v);
  g_byte_array_append (b, (const guint8 *) &v, sizeof v);
}

static void
put64 (GByteArray *b, guint64 v)
{
  v = GUINT64_TO_LE (v);
  g_byte_array_append (b, (const guint8 *) &v, sizeof v);
}

static void
put_string (GByteArray *b, const char *s)
{
  put64 (b, strlen (s));
  g_byte_array_append (b, (const guint8 *) s, (guint) strlen (s));
}

static void
put_number_key (GByteArray *b, const char *key, guint32 value)
{
  put_string (b, key);
  put32 (b, KV_U32);
  put32 (b, value);
}

static guint64
padded (guint64 n)
{
  return (n + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

static void
put_zeros (ModelOutput *o, guint64 n)
{
  static const guint8 zeros[ALIGNMENT];

  model_output_put (o, zeros, (gsize) n);
}

/* Returns: (transfer full) (nullable): the name of the second-level scale of @t; NULL if its type has none */
static char *
scale_name (const Model *m, const ModelTensor *t)
{
  if (model_tensor_type (m, t, TRUE)->scale == 1)
    return NULL;
  return g_strdup_printf ("%.*s.scale", (int) (strlen (t->name) - strlen (".weight")), t->name);
}

static void
put_tensor (GByteArray *b, const char *name, const QconvShape *shape, guint32 type, guint64 *offset, guint64 n_bytes)
{
  put_string (b, name);
  put32 (b, shape->rank);
  for (guint k = shape->rank; k > 0; k--)
    put64 (b, shape->dim[k - 1]);
  put32 (b, type);
  put64 (b, *offset);
  *offset += padded (n_bytes);
}

static GByteArray *
header_bytes (const Model *m)
{
  GByteArray *b = g_byte_array_new (), *list = g_byte_array_new ();
  const QconvShape one = { .rank = 1, .dim = { 1 } };
  guint64 offset = 0, n_tensors = 0;

  for (guint i = 0; i < m->tensors->len; i++)
    {
      const ModelTensor *t = m->tensors->pdata[i];
      const ModelType *type = model_tensor_type (m, t, TRUE);
      g_autofree char *scale = scale_name (m, t);

      put_tensor (list, t->name, &t->shape, type->gguf, &offset, model_tensor_bytes (t, type));
      if (scale != NULL)
        put_tensor (list, scale, &one, 0, &offset, sizeof (float));
      n_tensors += scale != NULL ? 2 : 1;
    }
  g_byte_array_append (b, (const guint8 *) "GGUF", 4);
  put32 (b, 3);
  put64 (b, n_tensors);
  put64 (b, m->facts->head_rows > 0 ? 4 : 3);
  put_string (b, "general.architecture");
  put32 (b, KV_STRING);
  put_string (b, m->facts->architecture);
  put_number_key (b, "general.quantization_version", 2);
  put_number_key (b, "general.file_type", m->type->file_type);
  if (m->facts->head_rows > 0)
    {
      g_autofree char *key = g_strconcat (m->facts->architecture, ".attention.key_length", NULL);

      put_number_key (b, key, m->facts->head_rows);
    }
  g_byte_array_append (b, list->data, list->len);
  g_byte_array_unref (list);
  while (b->len % ALIGNMENT != 0)
    g_byte_array_append (b, (const guint8 *) "", 1);
  return b;
}

gboolean
model_write_gguf (const Model *m, const char *path, GError **error)
{
  ModelOutput *o = model_output_new (path, error);
  g_autoptr (GByteArray) header = NULL;

  if (o == NULL)
    return FALSE;
  header = header_bytes (m);
  model_output_put (o, header->data, header->len);
  for (guint i = 0; i < m->tensors->len; i++)
    {
      const ModelTensor *t = m->tensors->pdata[i];
      const ModelType *type = model_tensor_type (m, t, TRUE);
      guint64 n = model_tensor_bytes (t, type);

      model_output_data (o, m, t, type);
      put_zeros (o, padded (n) - n);
      if (type->scale != 1)
        {
          guint8 scale[4];

          model_type_find ("f32")->encode (&type->scale, 1, scale);
          model_output_put (o, scale, sizeof scale);
          put_zeros (o, ALIGNMENT - sizeof scale);
        }
    }
  return model_output_close (o, error);
}
