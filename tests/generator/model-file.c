/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "model-file.h"

#include <errno.h>
#include <gio/gio.h>
#include <stdio.h>
#include <string.h>

#include "noise.h"

/* A multiple of all block sizes; floats and bytes of one stretch fit the second-level cache */
enum { STRETCH = 32768 };

struct _ModelOutput {
  FILE *file;
  char *path;
  float floats[STRETCH];
  guint8 bytes[STRETCH * 4];
};

const ModelType *
model_tensor_type (const Model *m, const ModelTensor *t, gboolean gguf)
{
  gboolean linear = g_str_equal (t->op, "linear") && t->rank == 2;

  if (!gguf)
    return m->type;
  /* Vectors, convolutions and modulation tensors are F32 in published files, and so are rows that blocks do not fill */
  if (!linear)
    return model_type_find ("f32");
  return t->dim[1] % m->type->items == 0 ? m->type : model_type_find ("f16");
}

guint64
model_tensor_bytes (const ModelTensor *t, const ModelType *type)
{
  return t->n_items / type->items * type->bytes;
}

ModelOutput *
model_output_new (const char *path, GError **error)
{
  ModelOutput *o;
  FILE *file = fopen (path, "wb");

  if (file == NULL)
    {
      g_set_error (error, G_IO_ERROR, (int)g_io_error_from_errno (errno), "%s: %s", path, g_strerror (errno));
      return NULL;
    }
  o = g_new (ModelOutput, 1);
  o->file = file;
  o->path = g_strdup (path);
  return o;
}

void
model_output_put (ModelOutput *o, gconstpointer bytes, gsize n)
{
  fwrite (bytes, 1, n, o->file);
}

void
model_output_data (ModelOutput *o, const Model *m, const ModelTensor *t, const ModelType *type)
{
  guint64 key = noise_key (m->seed, t->name);
  gboolean around_one = g_str_equal (t->op, "norm") && !g_str_has_suffix (t->name, ".bias");

  for (guint64 first = 0; first < t->n_items; first += STRETCH)
    {
      gsize n = (gsize)MIN (STRETCH, t->n_items - first);

      noise_fill (key, first, n, around_one ? 1 : 0, 0.02f, o->floats);
      for (gsize i = 0; type->scale != 1 && i < n; i++)
        o->floats[i] /= type->scale;
      type->encode (o->floats, n, o->bytes);
      model_output_put (o, o->bytes, n / type->items * type->bytes);
    }
}

gboolean
model_output_close (ModelOutput *o, GError **error)
{
  gboolean bad = ferror (o->file) != 0;
  g_autofree char *path = o->path;

  bad |= fclose (o->file) != 0;
  g_free (o);
  if (bad)
    g_set_error (error, G_IO_ERROR, G_IO_ERROR_FAILED, "%s: cannot be written", path);
  return !bad;
}

gboolean
model_write_list (const Model *m, const char *path, GError **error)
{
  g_autoptr (GString) text = g_string_new (NULL);

  for (guint i = 0; i < m->tensors->len; i++)
    {
      const ModelTensor *t = m->tensors->pdata[i];

      g_string_append_printf (text, "%s\t", t->name);
      for (guint k = 0; k < t->rank; k++)
        g_string_append_printf (text, "%s%" G_GUINT64_FORMAT, k > 0 ? "x" : "", t->dim[k]);
      g_string_append_c (text, '\n');
    }
  return g_file_set_contents (path, text->str, (gssize)text->len, error);
}
