/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Helpers of the tests of this folder. */
#include "maker.h"

#include <glib/gstdio.h>

void
write_beside (const char *name, const char *text)
{
  g_autofree char *path = scratch_path (name);
  g_autoptr (GError) error = NULL;

  if (text == NULL)
    {
      g_remove (path);
      return;
    }
  g_file_set_contents (path, text, -1, &error);
  g_assert_no_error (error);
}

guint32
next_random (guint64 *state, guint32 below)
{
  *state = *state * 6364136223846793005u + 1442695040888963407u;
  return (guint32) (*state >> 33) % below;
}

GBytes *
decoded (const char *input, const char *name)
{
  g_autofree char *out = scratch_path ("decoded.safetensors");
  g_autoptr (QconvModel) made = NULL;

  convert (input, out, "f32-safetensors", NULL);
  made = open_model (out, NULL);
  return tensor_bytes (made, name);
}

void
assert_floats (GBytes *bytes, const float *want, gsize n)
{
  const float *got = g_bytes_get_data (bytes, NULL);

  g_assert_cmpuint (g_bytes_get_size (bytes), ==, n * sizeof *want);
  for (gsize i = 0; i < n; i++)
    if (!(got[i] >= want[i] && got[i] <= want[i]))
      g_error ("item %" G_GSIZE_FORMAT " is %g instead of %g", i, (double) got[i], (double) want[i]);
}

char *
how_planned (const char *input, const char *target)
{
  g_autofree char *never = scratch_path ("never.safetensors");
  gboolean plain = g_str_has_suffix (target, "-safetensors");
  const QconvJob job
      = { .target = target, .output = never, .rules.only = plain ? NULL : QCONV_LIST (".*"), .run.force = TRUE };
  g_autoptr (QconvModel) m = open_model (input, NULL);
  g_autoptr (GError) error = NULL;
  g_autoptr (QconvPlan) plan = qconv_plan_new (m, &job, &error);
  g_autoptr (GArray) weights = NULL;

  g_assert_no_error (error);
  weights = qconv_plan_weights (plan);
  g_assert_cmpuint (weights->len, ==, 1);
  return g_strdup (g_array_index (weights, QconvPlannedInfo, 0).how);
}

/* ---- Packed integers ---- */

void
packed_clear (Packed *l)
{
  g_free (l->codes);
  g_free (l->zero);
  g_free (l->scale);
  g_free (l->weights);
}
void
packed_fill (Packed *l, const PackedForm *f, guint64 seed)
{
  l->group = f->group > 0 ? f->group : f->cols;
  l->groups = (f->cols + l->group - 1) / l->group;
  l->codes = g_new (guint32, f->rows * f->cols);
  l->zero = g_new (guint32, f->rows * l->groups);
  l->scale = g_new (float, f->rows * l->groups);
  l->weights = g_new (float, f->rows * f->cols);
  for (guint i = 0; i < f->rows * l->groups; i++)
    {
      l->zero[i] = f->zeros ? next_random (&seed, 1u << f->bits) : 1u << (f->bits - 1);
      l->scale[i] = 0x1p-9f * (float) (1 + next_random (&seed, 1000));
    }
  for (guint i = 0; i < f->rows * f->cols; i++)
    {
      guint at = i / f->cols * l->groups + i % f->cols / l->group;

      l->codes[i] = next_random (&seed, 1u << f->bits);
      l->weights[i] = (float) ((gint) l->codes[i] - (gint) l->zero[at]) * l->scale[at];
    }
}

static guint
words_of (const PackedForm *f, guint n)
{
  guint per_word = 32 / f->bits;

  return f->padded ? (n + per_word - 1) / per_word : (n * f->bits + 31) / 32;
}

/* Puts @code into the string of words as item @i. @step: words between two words of the string */
static void
put_code (const PackedForm *f, guint32 *words, guint step, guint i, guint32 code)
{
  guint per_word = 32 / f->bits, bit = f->padded ? i / per_word * 32 + i % per_word * f->bits : i * f->bits;

  words[bit / 32 * step] |= code << bit % 32;
  if (bit % 32 + f->bits > 32)
    words[(bit / 32 + 1) * step] |= code >> (32 - bit % 32);
}

static void
add_numbers (Builder *b, const char *name, const char *dtype, guint rows, guint cols, gconstpointer data)
{
  g_autofree char *shape = g_strdup_printf ("[%u, %u]", rows, cols);

  builder_add (b, name, dtype, shape, data, (gsize) rows * cols * 4);
}

void
packed_add (Builder *b, const PackedForm *f, const Packed *l)
{
  const gint64 shape[2] = { f->rows, f->cols };
  guint width = words_of (f, f->cols), high = words_of (f, f->rows);
  g_autofree guint32 *words = g_new0 (guint32, f->rows * width), *zeros = g_new0 (guint32, high * l->groups);

  for (guint i = 0; i < f->rows * f->cols; i++)
    put_code (f, words + i / f->cols * width, 1, i % f->cols, l->codes[i]);
  for (guint i = 0; i < f->rows * l->groups; i++)
    put_code (f, zeros + i % l->groups, l->groups, i / l->groups, l->zero[i]);
  add_numbers (b, "m.weight_packed", "I32", f->rows, width, words);
  add_numbers (b, "m.weight_scale", "F32", f->rows, l->groups, l->scale);
  builder_add (b, "m.weight_shape", "I64", "[2]", shape, sizeof shape);
  if (f->zeros)
    add_numbers (b, "m.weight_zero_point", "I32", high, l->groups, zeros);
}
