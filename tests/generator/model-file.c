/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Streams the data of synthetic tensors into a file; write-gguf.c and write-safetensors.c add the headers. */
#include "model-file.h"

#include <errno.h>
#include <gio/gio.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "noise.h"

/* A multiple of all block sizes. Floats and bytes of one stretch fit the second-level cache */
enum { STRETCH = 32768 };

/**
 * ModelOutput: a file that is written.
 *
 * @bad: whether a write failed
 * @filled: how many of @floats are not encoded yet
 */
struct _ModelOutput {
  FILE *file;
  char *path;
  gboolean bad;
  gsize filled;
  float floats[STRETCH];
  guint8 bytes[STRETCH * 4];
};

const ModelType *
model_tensor_type (const Model *m, const ModelTensor *t, gboolean gguf)
{
  gboolean linear = g_str_equal (t->op, "linear") && t->shape.rank == 2;

  if (!gguf)
    return m->type;
  /* Published files have vectors and convolutions in F32. Rows that do not fill whole blocks are F16 here */
  if (!linear)
    return model_type_find ("f32");
  return t->shape.dim[1] % m->type->items == 0 ? m->type : model_type_find ("f16");
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
      g_set_error (error, G_IO_ERROR, (int) g_io_error_from_errno (errno), "%s: %s", path, g_strerror (errno));
      return NULL;
    }
  o = g_new (ModelOutput, 1);
  o->file = file;
  o->path = g_strdup (path);
  o->bad = FALSE;
  o->filled = 0;
  return o;
}

void
model_output_put (ModelOutput *o, gconstpointer bytes, gsize n)
{
  fwrite (bytes, 1, n, o->file);
}

static void
encode_floats (ModelOutput *o, const ModelType *type)
{
  for (gsize i = 0; type->scale != 1 && i < o->filled; i++)
    o->floats[i] /= type->scale;
  type->encode (o->floats, o->filled, o->bytes);
  model_output_put (o, o->bytes, o->filled / type->items * type->bytes);
  o->filled = 0;
}

/* Writes items [first, first + n) of a source tensor */
static void
put_run (ModelOutput *o, const ModelType *type, guint64 key, float mean, guint64 first, guint64 n)
{
  while (n > 0)
    {
      gsize taken = (gsize) MIN (n, STRETCH - o->filled);

      noise_fill (key, first, taken, mean, 0.02f, o->floats + o->filled);
      o->filled += taken;
      first += taken;
      n -= taken;
      if (o->filled == STRETCH)
        encode_floats (o, type);
    }
}

/* Writes a tensor whose rows are the columns of @p */
static void
put_transposed (ModelOutput *o, const ModelType *type, guint64 seed, const ModelPart *p)
{
  guint64 key = noise_key (seed, p->source);

  for (guint64 column = 0; column < p->row; column++)
    for (guint64 i = 0; i < p->n; i++)
      put_run (o, type, key, p->mean, (p->first + i * p->stride) * p->row + column, 1);
}

/* Writes the rows of @n parts that lie side by side */
static void
put_band (ModelOutput *o, const ModelType *type, guint64 seed, const ModelPart *parts, guint n)
{
  g_autofree guint64 *keys = g_new (guint64, n);

  for (guint k = 0; k < n; k++)
    keys[k] = noise_key (seed, parts[k].source);
  for (guint64 i = 0; i < parts->n; i++)
    for (guint k = 0; k < n; k++)
      {
        const ModelPart *p = &parts[k];

        put_run (o, type, keys[k], p->mean, (p->first + i * p->stride) * p->row + p->skip, p->width);
      }
}

void
model_output_data (ModelOutput *o, const Model *m, const ModelTensor *t, const ModelType *type)
{
  if (m->sparse)
    {
      /* A hole reads as zeros. Closing the file sets its length */
      if (fseeko (o->file, (off_t) model_tensor_bytes (t, type), SEEK_CUR) != 0)
        o->bad = TRUE;
      return;
    }
  for (guint i = 0, next; i < t->parts->len; i = next)
    {
      const ModelPart *parts = &g_array_index (t->parts, ModelPart, 0);

      for (next = i + 1; next < t->parts->len && parts[next].beside;)
        next++;
      if (t->transposed)
        put_transposed (o, type, m->seed, &parts[i]);
      else
        put_band (o, type, m->seed, &parts[i], next - i);
    }
  encode_floats (o, type);
}

gboolean
model_output_close (ModelOutput *o, GError **error)
{
  off_t end = ftello (o->file);
  gboolean bad = o->bad || end < 0 || fflush (o->file) != 0 || ftruncate (fileno (o->file), end) != 0;
  g_autofree char *path = o->path;

  bad |= ferror (o->file) != 0;
  bad |= fclose (o->file) != 0;
  g_free (o);
  if (bad)
    g_set_error (error, G_IO_ERROR, G_IO_ERROR_FAILED, "%s: writing failed", path);
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
      for (guint k = 0; k < t->shape.rank; k++)
        g_string_append_printf (text, "%s%" G_GUINT64_FORMAT, k > 0 ? "x" : "", t->shape.dim[k]);
      g_string_append_c (text, '\n');
    }
  return g_file_set_contents (path, text->str, (gssize) text->len, error);
}
