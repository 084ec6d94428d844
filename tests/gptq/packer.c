/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Packs layers for the tests of the readers gptq and awq. */
#include "packer.h"

#include <glib/gstdio.h>
#include <math.h>
#include <string.h>

/* Columns of words: words [n_words, width], field @i of column @c lies across the words of that column */
typedef struct {
  guint8 *bytes;
  gsize n_words, width;
  guint word;
} Words;

static Words
new_words (gsize n_words, gsize width, guint word)
{
  return (Words) { g_malloc0 (n_words * width * (word / 8)), n_words, width, word };
}

static void
set_bit (Words *w, gsize column, gsize bit)
{
  gsize at = (bit / w->word * w->width + column) * (w->word / 8) + bit % w->word / 8;

  w->bytes[at] = (guint8) (w->bytes[at] | 1u << bit % 8);
}

/* Stores code @i of @column in fields that follow each other, or in planes of 32 codes, the widest first. */
static void
put_code (Words *w, const GptqRecipe *r, gsize column, gsize i, guint code)
{
  gsize start = i * r->bits;
  guint width = r->bits, below = 0;

  if (!r->planar)
    {
      for (guint b = 0; b < r->bits; b++)
        if (code >> b & 1)
          set_bit (w, column, start + b);
      return;
    }
  start = i / 32 * 32 * r->bits;
  for (guint plane = 8; plane > 0; plane /= 2)
    {
      if ((width & plane) == 0)
        continue;
      for (guint b = 0; b < plane; b++)
        if (code >> (below + b) & 1)
          set_bit (w, column, start + i % 32 * plane + b);
      start += 32 * plane;
      below += plane;
    }
}

/* ---- Samples ---- */

static guint
next_random (guint32 *state)
{
  *state = *state * 1664525u + 1013904223u;
  return *state >> 8;
}

static guint
group_size (const GptqRecipe *r)
{
  return r->group != 0 ? r->group : r->cols;
}

/* Gives each column a group. Shuffled groups are still complete. */
static void
fill_index (GptqSample *s, guint32 *state)
{
  guint cols = s->recipe.cols;

  for (guint i = 0; i < cols; i++)
    s->index[i] = (gint32) (i / group_size (&s->recipe));
  for (guint i = cols - 1; s->recipe.shuffled && i > 0; i--)
    {
      guint k = next_random (state) % (i + 1);
      gint32 other = s->index[k];

      s->index[k] = s->index[i];
      s->index[i] = other;
    }
}

GptqSample *
gptq_sample_new (const GptqRecipe *recipe, guint32 seed)
{
  GptqSample *s = g_new0 (GptqSample, 1);
  guint32 state = seed;
  guint rows = recipe->rows, top = 1u << recipe->bits;

  s->recipe = *recipe;
  s->groups = (recipe->cols + group_size (recipe) - 1) / group_size (recipe);
  s->codes = g_new (guint8, (gsize) rows * recipe->cols);
  s->zeros = g_new (gint16, (gsize) rows * s->groups);
  s->scales = g_new (float, (gsize) rows * s->groups);
  s->index = g_new (gint32, recipe->cols);
  for (gsize i = 0; i < (gsize) rows * recipe->cols; i++)
    s->codes[i] = (guint8) (next_random (&state) % top);
  for (gsize i = 0; i < (gsize) rows * s->groups; i++)
    {
      s->zeros[i] = (gint16) (recipe->symmetric ? top / 2 : 1 + next_random (&state) % (top - 1));
      s->scales[i] = ldexpf ((float) (1024 + next_random (&state) % 1024), -18 - (int) (next_random (&state) % 3));
    }
  fill_index (s, &state);
  return s;
}

/* Rounds to the nearest F16. */
static float
to_half (float x)
{
  guint16 half;
  float back;

  g_assert_true (qconv_floats_to (QCONV_F16, &x, 1, &half));
  g_assert_true (qconv_floats_from (QCONV_F16, &half, 1, &back));
  return back;
}

void
gptq_sample_quantize (GptqSample *s, const float *weights)
{
  const GptqRecipe *r = &s->recipe;
  gint middle = 1 << (r->bits - 1);

  for (guint row = 0; row < r->rows; row++)
    {
      float *scales = s->scales + row * s->groups;

      for (guint g = 0; g < s->groups; g++)
        scales[g] = 1e-6f;
      for (guint c = 0; c < r->cols; c++)
        scales[s->index[c]] = MAX (scales[s->index[c]], fabsf (weights[row * r->cols + c]));
      for (guint g = 0; g < s->groups; g++)
        {
          scales[g] = to_half (scales[g] / ((float) middle - 0.5f));
          s->zeros[row * s->groups + g] = (gint16) middle;
        }
      for (guint c = 0; c < r->cols; c++)
        {
          gint code = (gint) lrintf (weights[row * r->cols + c] / scales[s->index[c]]) + middle;

          s->codes[row * r->cols + c] = (guint8) CLAMP (code, 0, 2 * middle - 1);
        }
    }
}

void
gptq_sample_free (GptqSample *s)
{
  g_free (s->codes);
  g_free (s->zeros);
  g_free (s->scales);
  g_free (s->index);
  g_free (s);
}

float *
gptq_sample_values (const GptqSample *s)
{
  const GptqRecipe *r = &s->recipe;
  float *values = g_new (float, (gsize) r->rows * r->cols);

  for (guint row = 0; row < r->rows; row++)
    for (guint c = 0; c < r->cols; c++)
      {
        gsize k = row * s->groups + (guint) s->index[c], i = (gsize) row * r->cols + c;

        values[i] = (float) (s->codes[i] - s->zeros[k]) * s->scales[k];
      }
  return values;
}

/* ---- Files ---- */

static void
add_tensor (Builder *b, const char *layer, const char *end, const char *dtype, gsize rows, gsize cols, gpointer data,
            gsize n)
{
  g_autofree char *name = g_strconcat (layer, ".", end, NULL);
  g_autofree char *shape = cols == 0 ? g_strdup_printf ("[%zu]", rows) : g_strdup_printf ("[%zu,%zu]", rows, cols);

  builder_add (b, name, dtype, shape, data, n);
}

static void
add_words (Builder *b, const char *layer, const char *end, const Words *w, gsize rows, gsize cols)
{
  g_autofree char *dtype = g_strdup_printf ("I%u", w->word);

  add_tensor (b, layer, end, dtype, rows, cols, w->bytes, w->n_words * w->width * (w->word / 8));
  g_free (w->bytes);
}

/* @stored: columns of the tensor; scales beyond the last group are 0. @across: [groups, rows] */
static void
add_scales (const GptqSample *s, Builder *b, const char *name, gboolean across, guint stored)
{
  guint rows = s->recipe.rows;
  gsize n = (gsize) rows * (across ? s->groups : stored);
  g_autofree guint16 *half = g_new0 (guint16, n);

  for (guint row = 0; row < rows; row++)
    for (guint g = 0; g < s->groups; g++)
      g_assert_true (qconv_floats_to (QCONV_F16, s->scales + row * s->groups + g, 1,
                                      half + (across ? g * rows + row : row * stored + g)));
  add_tensor (b, name, "scales", "F16", across ? s->groups : rows, across ? rows : stored, half, n * sizeof *half);
}

static gsize
words_for (const GptqRecipe *r, gsize n)
{
  gsize codes = r->planar ? (n + 31) / 32 * 32 : n;

  return (codes * r->bits + r->word - 1) / r->word;
}

/* Subtracts 1 from all fields of the @n words of 32 bits, as one subtraction each. */
static void
borrow_ones (guint8 *bytes, gsize n, guint bits)
{
  guint32 ones = 0;

  for (guint at = 0; at < 32; at += bits)
    ones |= 1u << at;
  for (gsize i = 0; i < n; i++, bytes += 4)
    {
      guint32 word;

      memcpy (&word, bytes, sizeof word);
      word = GUINT32_TO_LE (GUINT32_FROM_LE (word) - ones);
      memcpy (bytes, &word, sizeof word);
    }
}

void
gptq_sample_add (const GptqSample *s, Builder *b, const char *name)
{
  const GptqRecipe *r = &s->recipe;
  Words w = new_words (words_for (r, r->cols), r->rows, r->word);
  gsize across = words_for (r, r->rows);
  guint8 *zeros = g_malloc0 (s->groups * across * (r->word / 8));

  for (guint row = 0; row < r->rows; row++)
    for (guint c = 0; c < r->cols; c++)
      put_code (&w, r, row, c, s->codes[(gsize) row * r->cols + c]);
  for (guint g = 0; g < s->groups; g++)
    {
      Words z = { zeros + g * across * (r->word / 8), across, 1, r->word };

      for (guint row = 0; row < r->rows; row++)
        put_code (&z, r, 0, row, (guint) s->zeros[row * s->groups + g] - r->stored_less);
    }
  if (r->borrows)
    borrow_ones (zeros, s->groups * across, r->bits);
  add_words (b, name, "qweight", &w, w.n_words, r->rows);
  add_words (b, name, "qzeros", &(Words) { zeros, s->groups, across, r->word }, s->groups, across);
  add_scales (s, b, name, TRUE, 0);
  if (!r->no_index)
    add_tensor (b, name, "g_idx", "I32", r->cols, 0, s->index, r->cols * sizeof *s->index);
}

/* Stores @code as number @row of one row of words: each holds eight in the order 0 2 4 6 1 3 5 7. */
static void
put_gemm (Words *w, guint row, guint code)
{
  static const guint order[] = { 0, 2, 4, 6, 1, 3, 5, 7 };

  for (guint place = 0; place < 8; place++)
    if (order[place] == row % 8)
      for (guint b = 0; b < 4; b++)
        if (code >> b & 1)
          set_bit (w, row / 8, place * 4 + b);
}

void
gptq_sample_add_gemm (const GptqSample *s, Builder *b, const char *name)
{
  const GptqRecipe *r = &s->recipe;
  gsize across = r->rows / 8;
  Words w = new_words (1, across * r->cols, 32), z = new_words (1, across * s->groups, 32);

  for (guint row = 0; row < r->rows; row++)
    {
      for (guint c = 0; c < r->cols; c++)
        put_gemm (&(Words) { w.bytes + c * across * 4, 1, across, 32 }, row, s->codes[(gsize) row * r->cols + c]);
      for (guint g = 0; g < s->groups; g++)
        put_gemm (&(Words) { z.bytes + g * across * 4, 1, across, 32 }, row, (guint) s->zeros[row * s->groups + g]);
    }
  add_words (b, name, "qweight", &w, r->cols, across);
  add_words (b, name, "qzeros", &z, s->groups, across);
  add_scales (s, b, name, TRUE, 0);
}

void
gptq_sample_add_gemv (const GptqSample *s, Builder *b, const char *name)
{
  const GptqRecipe *r = &s->recipe;
  guint unit = r->group >= 128 ? 1 : r->group == 64 ? 2 : 4, words = ((s->groups + 7) / 8 + unit - 1) / unit * unit;
  Words w = new_words (1, (gsize) r->rows * r->cols / 8, 32), z = new_words (1, (gsize) r->rows * words, 32);

  for (guint row = 0; row < r->rows; row++)
    {
      Words codes = { w.bytes + (gsize) row * r->cols / 2, r->cols / 8, 1, 32 };
      Words zeros = { z.bytes + (gsize) row * words * 4, words, 1, 32 };

      for (guint c = 0; c < r->cols; c++)
        put_code (&codes, r, 0, c, s->codes[(gsize) row * r->cols + c]);
      for (guint g = 0; g < s->groups; g++)
        put_code (&zeros, r, 0, g, (guint) s->zeros[row * s->groups + g]);
    }
  add_words (b, name, "qweight", &w, r->rows, r->cols / 8);
  add_words (b, name, "qzeros", &z, r->rows, words);
  add_scales (s, b, name, FALSE, words * 8);
}

void
gptq_write_config (const char *json)
{
  g_autofree char *path = scratch_path ("quantize_config.json");
  g_autoptr (GError) error = NULL;

  if (json == NULL)
    {
      g_remove (path);
      return;
    }
  g_file_set_contents (path, json, -1, &error);
  g_assert_no_error (error);
}

void
gptq_assert_decodes (const char *path, const char *name, const GptqSample *s, const char *const *options)
{
  g_autofree char *out = scratch_path ("decoded.safetensors"), *weight = g_strconcat (name, ".weight", NULL);
  g_autofree float *want = gptq_sample_values (s);
  g_autoptr (QconvModel) made = NULL;
  g_autoptr (GBytes) bytes = NULL;

  convert (path, out, "f32-safetensors", options);
  made = open_model (out, NULL);
  bytes = tensor_bytes (made, weight);
  g_assert_cmpmem (g_bytes_get_data (bytes, NULL), g_bytes_get_size (bytes), want,
                   (gsize) s->recipe.rows * s->recipe.cols * sizeof *want);
}
