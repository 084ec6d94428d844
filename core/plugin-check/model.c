/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Files of the check: reads and writes them, and makes the plain models that the rows convert. */
#include <glib/gstdio.h>
#include <stdio.h>
#include <string.h>

#include "plugin-check/carrier.h"

char *
check_path (const Check *c, const char *name)
{
  return g_build_filename (c->folder, name, NULL);
}

GBytes *
check_read (const char *path, GError **error)
{
  char *contents;
  gsize n;

  return g_file_get_contents (path, &contents, &n, error) ? g_bytes_new_take (contents, n) : NULL;
}

gboolean
check_write (const char *path, const guint8 *bytes, gsize n, GError **error)
{
  FILE *file;
  gboolean ok;

  /* Called thousands of times. g_file_set_contents() would wait for the disk each time */
  g_unlink (path);
  file = g_fopen (path, "wb");
  if (file == NULL)
    return check_fail (error, "%s cannot be written", path);
  ok = fwrite (bytes, 1, n, file) == n;
  return (fclose (file) == 0 && ok) || check_fail (error, "%s cannot be written", path);
}

gboolean
check_write_byte (const char *path, gsize at, guint8 byte, GError **error)
{
  FILE *file = g_fopen (path, "r+b");
  gboolean ok;

  if (file == NULL)
    return check_fail (error, "%s cannot be written", path);
  ok = fseek (file, (long) at, SEEK_SET) == 0 && fputc (byte, file) == byte;
  return (fclose (file) == 0 && ok) || check_fail (error, "%s cannot be written", path);
}

/* ---- Models ---- */

/* Returns a normal number of variance 1, nearly: a sum of uniform ones needs no libm */
static float
normal (GRand *random)
{
  /* Six numbers of 16 bits have this variance */
  static const double deviation = 65536 * 0.70710678118654752;
  double sum = -3 * 65535.0;

  for (guint i = 0; i < 3; i++)
    {
      guint32 two = g_rand_int (random);

      sum += (two >> 16) + (two & 0xffff);
    }
  return (float) (sum / deviation);
}

static float
weight (GRand *random, CheckFill fill, guint64 i)
{
  switch (fill)
    {
    case CHECK_ZERO:
      return 0;
    case CHECK_CONSTANT:
      return 0.0625f;
    case CHECK_OUTLIERS:
      return normal (random) * (i % 97 == 5 ? 3.0f : 0.02f);
    case CHECK_NOISE:
    case CHECK_N_FILLS:
      break;
    }
  return normal (random) * 0.02f;
}

/* Appends @x as @dtype, cut to its width */
static void
append_number (GByteArray *out, float x, QconvDType dtype)
{
  guint32 bits;
  guint16 half;

  memcpy (&bits, &x, sizeof bits);
  if (dtype == QCONV_F32)
    {
      g_byte_array_append (out, (const guint8 *) &bits, sizeof bits);
      return;
    }
  half = (guint16) (bits >> 16);
  if (dtype == QCONV_F16)
    {
      guint32 exponent = bits >> 23 & 0xff;

      /* Smaller numbers than those with an exponent of their own become zero; larger ones are not made */
      half &= 0x8000;
      if (exponent > 112)
        half = (guint16) (half | (exponent - 112) << 10 | (bits >> 13 & 0x3ff));
    }
  g_byte_array_append (out, (const guint8 *) &half, sizeof half);
}

/* Writes the file: tensors "layers.0.weight" … with the @data of each */
static char *
write_model (Check *c, const char *name, QconvTensor *tensors, GByteArray *const *data, guint n, GError **error)
{
  g_autofree QconvTensor **list = g_new (QconvTensor *, n);
  g_autoptr (GByteArray) file = NULL;
  g_autofree char *path = check_path (c, name);

  for (guint i = 0; i < n; i++)
    list[i] = &tensors[i];
  file = check_carrier_header (NULL, list, n);
  for (guint i = 0; i < n; i++)
    {
      guint before = file->len;

      g_byte_array_set_size (file, (guint) tensors[i].offset);
      memset (file->data + before, 0, file->len - before);
      g_byte_array_append (file, data[i]->data, data[i]->len);
    }
  return check_write (path, file->data, file->len, error) ? g_steal_pointer (&path) : NULL;
}

char *
check_model (Check *c, const char *name, const CheckLayer *layers, QconvDType dtype, GError **error)
{
  g_autofree char *path = check_path (c, name);
  g_autoptr (GArray) tensors = g_array_new (FALSE, TRUE, sizeof (QconvTensor));
  g_autoptr (GPtrArray) data = g_ptr_array_new_with_free_func ((GDestroyNotify) g_byte_array_unref);
  g_autoptr (GStringChunk) names = g_string_chunk_new (64);

  if (g_file_test (path, G_FILE_TEST_EXISTS))
    return g_steal_pointer (&path);
  for (guint i = 0; layers[i].rows > 0; i++)
    {
      const CheckLayer *l = &layers[i];
      g_autofree char *text = g_strdup_printf ("layers.%u.weight", i);
      QconvTensor t = { .name = g_string_chunk_insert (names, text),
                        .dtype = dtype,
                        .shape = QCONV_SHAPE2 (l->rows, l->cols),
                        .n_bytes = l->rows * l->cols * qconv_dtype_bits (dtype) / 8 };
      g_autoptr (GRand) random = g_rand_new_with_seed (i);
      GByteArray *bytes = g_byte_array_new ();

      for (guint64 k = 0; k < l->rows * l->cols; k++)
        append_number (bytes, weight (random, l->fill, k), dtype);
      g_array_append_val (tensors, t);
      g_ptr_array_add (data, bytes);
    }
  return write_model (c, name, (QconvTensor *) tensors->data, (GByteArray *const *) data->pdata, data->len, error);
}

char *
check_model_of_bits (Check *c, guint32 bits, gboolean last, GError **error)
{
  const guint64 rows = 256, cols = 512;
  g_autoptr (GRand) random = g_rand_new_with_seed (0);
  g_autoptr (GByteArray) bytes = g_byte_array_new ();
  GByteArray *const data[] = { bytes };
  QconvTensor t = {
    .name = "layers.0.weight", .dtype = QCONV_F32, .shape = QCONV_SHAPE2 (rows, cols), .n_bytes = rows * cols * 4
  };

  for (guint64 i = 0; i < rows * cols; i++)
    if (last && i + 1 < rows * cols)
      append_number (bytes, weight (random, CHECK_NOISE, i), QCONV_F32);
    else
      g_byte_array_append (bytes, (const guint8 *) &bits, sizeof bits);
  return write_model (c, "bits.model", &t, data, 1, error);
}

char *
check_usual_model (Check *c, GError **error)
{
  static const CheckLayer layers[]
      = { { 640, 512, CHECK_NOISE }, { 1152, 256, CHECK_OUTLIERS }, { 128, 768, CHECK_NOISE }, { 0 } };

  return check_model (c, "usual.model", layers, QCONV_F32, error);
}

char *
check_small_model (Check *c, GError **error)
{
  static const CheckLayer layers[] = { { 256, 512, CHECK_NOISE }, { 96, 768, CHECK_OUTLIERS }, { 0 } };

  return check_model (c, "small.model", layers, QCONV_F32, error);
}
