/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tests rows of composed layers against the rows of their parts, one by one. */
#include "kernels/stream.h"
#include "layer/compose.h"
#include "layer/load.h"

#include <string.h>

#include "io/directory.h"
#include "io/source.h"
#include "layer/tile.h"
#include "registry/values.h"

enum { ROWS = 24, COLS = 6 };

/* Components: codes under a scale for four rows and, if they are there, one for all and, in one piece, one for each
   row */
static gboolean
list_components (const QconvQuantizer *self, const QconvLayer *layer, QconvComponents *out, GError **error)
{
  qconv_components_add (out, &(QconvComponent) { .name = "codes",
                                                 .dtype = QCONV_I8,
                                                 .shape = QCONV_SHAPE2 (layer->rows, layer->cols),
                                                 .run = QCONV_ROWWISE });
  qconv_components_add (
      out, &(QconvComponent) {
               .name = "scale", .dtype = QCONV_F32, .shape = QCONV_SHAPE1 ((layer->rows + 3) / 4), .run = { 4, 1 } });
  qconv_components_add (
      out, &(QconvComponent) {
               .name = "all", .dtype = QCONV_F32, .shape = QCONV_SHAPE0, .flags = QCONV_COMPONENT_OPTIONAL });
  qconv_components_add (out, &(QconvComponent) { .name = "each",
                                                 .dtype = QCONV_F32,
                                                 .shape = QCONV_SHAPE1 (layer->rows),
                                                 .flags = QCONV_COMPONENT_OPTIONAL });
  return TRUE;
}

static gboolean
decode (const QconvQuantizer *self, const QconvTile *t, GError **error)
{
  const gint8 *codes = qconv_buffer_data (qconv_tile_component (t, "codes"));
  const float *scale = qconv_buffer_data (qconv_tile_component (t, "scale"));
  QconvBuffer *all = qconv_tile_component (t, "all"), *each = qconv_tile_component (t, "each");
  float *floats = qconv_buffer_data (t->floats);

  g_assert_cmpuint (t->first_row % 4, ==, 0);
  for (guint64 i = 0; i < t->n_rows * t->layer->cols; i++)
    floats[i] = (float) codes[i] * scale[i / t->layer->cols / 4]
                * (all != NULL ? *(const float *) qconv_buffer_data (all) : 1)
                * (each != NULL ? ((const float *) qconv_buffer_data (each))[t->first_row + i / t->layer->cols] : 1);
  return TRUE;
}

static gboolean
stack (const QconvQuantizer *self, const QconvTile *t, const QconvStackPart *parts, guint n, GError **error)
{
  QconvBuffer *each = qconv_tile_component (t, "each");
  float *to = qconv_buffer_data (each);
  guint64 at = 0;

  for (guint i = 0; i < n; i++)
    for (guint64 row = 0; row < parts[i].n; row++)
      to[at++] = ((const float *) qconv_buffer_data (
          qconv_tile_component (parts[i].source, "each")))[parts[i].first + row * parts[i].stride];
  g_assert_cmpuint (at, ==, t->layer->rows);
  return TRUE;
}

static const QconvQuantizer quantizer = { .id = "test", .components = list_components, .decode = decode };
static const QconvQuantizer stacks
    = { .id = "stacks", .components = list_components, .decode = decode, .stack = stack };

typedef struct {
  QconvSource *source;
  QconvDirectory *directory;
  GPtrArray *layers;
} Model;

static const QconvTensor *
add_tensor (Model *m, const char *name, QconvDType dtype, const QconvShape *shape, guint64 *offset)
{
  QconvTensor t = { .name = name, .dtype = dtype, .shape = *shape, .source = m->source, .offset = *offset };
  g_autoptr (GError) error = NULL;

  qconv_shape_bytes (shape, dtype, &t.n_bytes);
  *offset += t.n_bytes;
  qconv_directory_add (m->directory, &t, &error);
  g_assert_no_error (error);
  return qconv_directory_tensor (m->directory, qconv_directory_n_tensors (m->directory) - 1);
}

static void
free_binding (gpointer data)
{
  Binding *b = data;

  g_free (b->component);
  g_ptr_array_unref (b->tensors);
  g_free (b);
}

static void
bind (SourceLayer *s, const char *component, const QconvTensor *t)
{
  Binding *b = g_new0 (Binding, 1);

  b->component = g_strdup (component);
  b->tensors = g_ptr_array_new ();
  g_ptr_array_add (b->tensors, (gpointer) t);
  g_ptr_array_add (b->tensors, NULL);
  g_ptr_array_add (s->bindings, b);
}

enum { LAYERS = 8 };

/* Layers 0 and 1: plain F32 and BF16; 2 and 3: of the scheme; 4: with a scale for all; 5: with a scale for each row; 6
   and 7: the same in the scheme that stacks these */
static void
model_init (Model *m)
{
  static const QconvShape shape = QCONV_SHAPE2 (ROWS, COLS), scale_shape = QCONV_SHAPE1 (ROWS / 4), none = QCONV_SHAPE0;
  static const QconvShape each_shape = QCONV_SHAPE1 (ROWS);
  float *numbers = g_new (float, 2 * ROWS * COLS);
  g_autoptr (GBytes) bytes = NULL;
  guint64 offset = 0;

  for (guint i = 0; i < 2 * ROWS * COLS; i++)
    numbers[i] = (float) (i % 97) + 0.5f;
  *m = (Model) { .layers = g_ptr_array_new_with_free_func ((GDestroyNotify) qconv_source_layer_free) };
  bytes = g_bytes_new_take (numbers, 2 * ROWS * COLS * sizeof *numbers);
  m->source = qconv_source_new_for_bytes (bytes, "test");
  m->directory = qconv_directory_new (NULL, m->source);
  for (guint i = 0; i < LAYERS; i++)
    {
      const QconvQuantizer *q = i < 6 ? &quantizer : &stacks;
      SourceLayer *s = g_new0 (SourceLayer, 1);
      g_autofree char *codes = g_strdup_printf ("codes%u", i), *scale = g_strdup_printf ("scale%u", i);
      g_autofree char *each = g_strdup_printf ("each%u", i);
      QconvDType dtype = i == 0 ? QCONV_F32 : QCONV_BF16;

      s->name = g_strdup_printf ("layer%u", i);
      s->plain_name = g_strconcat (s->name, ".weight", NULL);
      s->bindings = g_ptr_array_new_with_free_func (free_binding);
      s->bytes = ROWS * COLS;
      offset = i * 4;
      s->layer = i < 2
                     ? qconv_layer_new_plain (s->plain_name, dtype, &shape)
                     : qconv_layer_new (s->name, &(Encoding) { q->id, q, qconv_values_new (NULL) }, dtype, ROWS, COLS);
      bind (s, i < 2 ? "weight" : "codes", add_tensor (m, codes, i < 2 ? dtype : QCONV_I8, &shape, &offset));
      offset = i * 12;
      if (i >= 2)
        bind (s, "scale", add_tensor (m, scale, QCONV_F32, &scale_shape, &offset));
      if (i >= 2)
        g_assert_true (qconv_layer_ask_components (s->layer, NULL));
      if (i == 4)
        bind (s, "all", add_tensor (m, "all", QCONV_F32, &none, &offset));
      else if (i >= 2)
        qconv_layer_drop_component (s->layer, "all");
      offset = i * 20;
      if (i >= 5)
        bind (s, "each", add_tensor (m, each, QCONV_F32, &each_shape, &offset));
      else if (i >= 2)
        qconv_layer_drop_component (s->layer, "each");
      g_ptr_array_add (m->layers, s);
    }
}

static void
model_clear (Model *m)
{
  g_ptr_array_unref (m->layers);
  qconv_directory_free (m->directory);
  qconv_source_free (m->source);
}

/* Loads rows [first, first + n) in memory of exactly the declared size. @hold: all row components are loaded before */
static float *
load_rows (const SourceLayer *s, guint64 first, guint64 n, gboolean as_is, gboolean hold)
{
  Arena kept = { .size = qconv_source_cost (s, SCOPE_LAYER, 0) + (hold ? qconv_hold_cost (s) : 0) };
  Arena arena = { .size = TILE_SLACK + qconv_floats_cost (s, n, as_is) };
  g_autoptr (Components) whole = qconv_components_new_source (s);
  g_autoptr (GError) error = NULL;
  float *rows = g_new0 (float, n * s->layer->pub.cols);
  QconvBuffer floats;

  kept.base = g_malloc0 (kept.size + 1);
  arena.base = g_malloc0 (arena.size);
  qconv_components_load (s, whole, SCOPE_LAYER, &(Rows) { .arena = &kept }, &error);
  g_assert_no_error (error);
  g_assert_true (!hold || qconv_source_hold (s, whole, &(Rows) { .arena = &kept }, &error));
  qconv_floats_load (s, qconv_components_view (whole, &arena), &(Rows) { first, n, &arena, NULL }, as_is, &floats,
                     &error);
  g_assert_no_error (error);
  g_assert_cmpint (floats.dtype, ==, as_is ? s->layer->pub.dtype : QCONV_F32);
  memcpy (rows, floats.data, floats.size);
  g_free (kept.base);
  g_free (arena.base);
  return rows;
}

static float *
load (const SourceLayer *s, guint64 first, guint64 n, gboolean as_is)
{
  return load_rows (s, first, n, as_is, FALSE);
}

/* Asserts that @got is row @row of the stack, found by counting through the parts */
static void
assert_row (const SourceLayer *s, guint64 row, const float *got)
{
  for (guint i = 0; i < s->parts->len; row -= qconv_composed_step (s, i++))
    {
      const Part *p = &g_array_index (s->parts, Part, i);
      const SourceLayer *of = g_ptr_array_index (s->sources, p->source);
      g_autofree float *all = NULL;

      if (row >= p->n)
        continue;
      all = load (of, 0, ROWS, FALSE);
      for (guint64 col = 0; col < qconv_composed_width (s, i); col++)
        {
          guint64 at = p->first + row * p->stride, from = p->skip + col;

          g_assert_cmpfloat (got[p->column + col], ==, p->transposed ? all[col * COLS + at] : all[at * COLS + from]);
        }
      if (qconv_composed_step (s, i) > 0)
        return;
    }
  g_assert_not_reached ();
}

/* Asserts that the components of rows [first, first + n) decode to the same */
static void
assert_components (const SourceLayer *s, guint64 first, guint64 n, const float *want)
{
  Arena kept = { .size = qconv_source_cost (s, SCOPE_LAYER, 0) };
  Arena arena = { .size = TILE_SLACK + qconv_source_cost (s, SCOPE_ROWS, n) };
  g_autoptr (Components) whole = qconv_components_new_source (s);
  g_autofree float *got = g_new (float, n *COLS);
  QconvBuffer floats = QCONV_BUFFER (got, n * COLS * sizeof (float), QCONV_F32);
  g_autoptr (GError) error = NULL;
  Tile tile = { .components = whole };

  kept.base = g_malloc0 (kept.size + 1);
  arena.base = g_malloc0 (arena.size);
  g_assert_true (qconv_components_load (s, whole, SCOPE_LAYER, &(Rows) { .arena = &kept }, &error));
  qconv_components_load (s, whole, SCOPE_ROWS, &(Rows) { first, n, &arena, NULL }, &error);
  g_assert_no_error (error);
  tile.pub = (QconvTile) { .layer = &s->layer->pub, .first_row = first, .n_rows = n, .floats = &floats };
  g_assert_true (decode (&quantizer, &tile.pub, &error));
  g_assert_cmpmem (got, n * COLS * sizeof (float), want, n * COLS * sizeof (float));
  g_free (kept.base);
  g_free (arena.base);
}

typedef struct {
  const char *title;
  guint sources[3], n_sources;
  Part parts[4];
  guint n_parts;
  gboolean moves; /* the components can be stacked */
} Case;

static const Case cases[] = {
  { "whole", { 2 }, 1, { { 0, 0, 1, ROWS, FALSE } }, 1, TRUE },
  { "whole with a scale for all", { 4 }, 1, { { 0, 0, 1, ROWS, FALSE } }, 1, TRUE },
  { "plain", { 1 }, 1, { { 0, 0, 1, ROWS, FALSE } }, 1, FALSE },
  { "stack", { 2, 3 }, 2, { { 0, 0, 1, ROWS, FALSE }, { 1, 0, 1, ROWS, FALSE } }, 2, TRUE },
  { "stack of plain", { 1, 1 }, 2, { { 0, 0, 1, ROWS, FALSE }, { 1, 0, 1, ROWS, FALSE } }, 2, FALSE },
  { "stack of two types", { 0, 1 }, 2, { { 0, 0, 1, ROWS, FALSE }, { 1, 0, 1, ROWS, FALSE } }, 2, FALSE },
  { "stack of plain and codes", { 0, 2 }, 2, { { 0, 0, 1, ROWS, FALSE }, { 1, 0, 1, ROWS, FALSE } }, 2, FALSE },
  { "stack with a scale for all", { 2, 4 }, 2, { { 0, 0, 1, ROWS, FALSE }, { 1, 0, 1, ROWS, FALSE } }, 2, FALSE },
  { "halves swapped", { 4 }, 1, { { 0, 12, 1, 12, FALSE }, { 0, 0, 1, 12, FALSE } }, 2, TRUE },
  { "halves that cut runs", { 2 }, 1, { { 0, 10, 1, 14, FALSE }, { 0, 0, 1, 10, FALSE } }, 2, FALSE },
  { "whole with a scale for each row", { 5 }, 1, { { 0, 0, 1, ROWS, FALSE } }, 1, TRUE },
  { "scales of rows swapped", { 5 }, 1, { { 0, 12, 1, 12, FALSE }, { 0, 0, 1, 12, FALSE } }, 2, FALSE },
  { "scales of rows swapped by the scheme", { 6 }, 1, { { 0, 12, 1, 12, FALSE }, { 0, 0, 1, 12, FALSE } }, 2, TRUE },
  { "scales of rows stacked by the scheme",
    { 6, 7 },
    2,
    { { 0, 4, 1, 16, FALSE }, { 1, 0, 1, ROWS, FALSE }, { 0, 20, 1, 4, FALSE } },
    3,
    TRUE },
  { "scales of rows and halves that cut runs",
    { 6 },
    1,
    { { 0, 10, 1, 14, FALSE }, { 0, 0, 1, 10, FALSE } },
    2,
    FALSE },
  { "split", { 2 }, 1, { { 0, 8, 1, 8, FALSE } }, 1, TRUE },
  { "split with a short run", { 2, 3 }, 2, { { 0, 8, 1, 8, FALSE }, { 1, 18, 1, 6, FALSE } }, 2, FALSE },
  { "every other row",
    { 2, 0 },
    2,
    { { 0, 1, 2, 12, FALSE }, { 0, 0, 2, 12, FALSE }, { 1, 3, 5, 4, FALSE } },
    3,
    FALSE },
  { "columns", { 0 }, 1, { { 0, 1, 1, 4, TRUE } }, 1, FALSE },
  { "side by side", { 2, 3 }, 2, { { 0, 0, 1, ROWS, FALSE, 0 }, { 1, 0, 1, ROWS, FALSE, COLS } }, 2, FALSE },
  { "plain side by side", { 1, 1 }, 2, { { 0, 8, 1, 9, FALSE, 0 }, { 1, 2, 2, 9, FALSE, COLS } }, 2, FALSE },
  { "plain and codes side by side", { 1, 2 }, 2, { { 0, 0, 1, 5, FALSE, 0 }, { 1, 7, 1, 5, FALSE, COLS } }, 2, FALSE },
  { "some columns of codes", { 2 }, 1, { { 0, 5, 1, 9, FALSE, 0, 2, 3 } }, 1, FALSE },
  { "some columns of two layers",
    { 0, 3 },
    2,
    { { 0, 1, 2, 6, FALSE, 0, 1, 5 }, { 1, 0, 1, 6, FALSE, 5, 0, 2 } },
    2,
    FALSE },
  { "two pairs side by side",
    { 0, 6 },
    2,
    { { 0, 0, 1, 7, FALSE, 0 }, { 1, 1, 1, 7, FALSE, COLS }, { 1, 3, 1, 4, FALSE, 0 }, { 0, 0, 5, 4, FALSE, COLS } },
    4,
    FALSE },
};

static void
test_case (gconstpointer data)
{
  const Case *k = data;
  g_autoptr (GPtrArray) sources = g_ptr_array_new ();
  GArray *parts = g_array_new (FALSE, FALSE, sizeof (Part));
  g_autoptr (SourceLayer) s = NULL;
  g_autoptr (GError) error = NULL;
  guint64 rows = 0, cols = 0, width, align;
  Model m;

  model_init (&m);
  for (guint i = 0; i < k->n_sources; i++)
    g_ptr_array_add (sources, g_ptr_array_index (m.layers, k->sources[i]));
  g_array_append_vals (parts, k->parts, k->n_parts);
  for (guint i = 0; i < k->n_parts; i++)
    {
      rows += k->parts[i].column == 0 ? k->parts[i].n : 0;
      width = k->parts[i].transposed ? ROWS : k->parts[i].width > 0 ? k->parts[i].width : COLS;
      cols = MAX (cols, k->parts[i].column + width);
    }
  s = qconv_compose ("made.weight", &QCONV_SHAPE2 (rows, cols), sources, parts, &error);
  g_assert_no_error (error);
  g_assert_cmpstr (s->name, ==, "made");
  g_assert_cmpint (s->layer->quantizer != NULL, ==, k->moves);
  g_assert_true (qconv_source_layer_decodes (s));
  align = qconv_layer_alignment (s->layer, 1);
  for (guint64 first = 0; first < rows; first++)
    for (guint64 n = 1; n <= rows - first; n++)
      {
        g_autofree float *got = load (s, first, n, FALSE), *held = load_rows (s, first, n, FALSE, TRUE);

        g_assert_cmpmem (got, n * cols * sizeof *got, held, n * cols * sizeof *held);
        for (guint64 row = 0; row < n; row++)
          assert_row (s, first + row, got + row * cols);
        if (k->moves && first % align == 0 && (n % align == 0 || first + n == rows))
          assert_components (s, first, n, got);
        if (qconv_source_layer_plain (s))
          g_free (load (s, first, n, TRUE));
      }
  g_clear_pointer (&s, qconv_source_layer_free);
  model_clear (&m);
}

/* Tests that rows that no source has, or that do not fit together, are refused */
static void
test_refused (void)
{
  static const struct {
    QconvShape shape;
    Part parts[2];
    guint n;
    const char *text;
  } wrong[] = {
    { QCONV_SHAPE2 (25, COLS), { { 0, 0, 1, 25, FALSE } }, 1, "*has 24 rows, which is not enough" },
    { QCONV_SHAPE2 (2, COLS), { { 0, 1, G_MAXUINT64, 2, FALSE } }, 1, "*which is not enough" },
    { QCONV_SHAPE2 (2, COLS), { { 0, G_MAXUINT64, 1, 2, FALSE } }, 1, "*which is not enough" },
    { QCONV_SHAPE2 (8, COLS),
      { { 0, 0, 1, 4, FALSE }, { 1, 0, 1, 4, TRUE } },
      2,
      "*has rows of 24 items, others of 6" },
    { QCONV_SHAPE2 (5, COLS), { { 0, 0, 1, 4, FALSE } }, 1, "*another shape*" },
    { QCONV_SHAPE2 (4, 2 * COLS),
      { { 0, 0, 1, 4 }, { 1, 0, 1, 3, FALSE, COLS } },
      2,
      "*\"layer1\" does not fit beside*" },
    { QCONV_SHAPE2 (4, 2 * COLS), { { 0, 0, 1, 4 }, { 1, 0, 1, 4, FALSE, 5 } }, 2, "*does not fit beside*" },
    { QCONV_SHAPE2 (4, COLS), { { 0, 0, 1, 4, FALSE, COLS } }, 1, "*does not fit beside*" },
    { QCONV_SHAPE2 (4, 3), { { 0, 0, 1, 4, FALSE, 0, 4, 3 } }, 1, "*has 6 columns, which is not enough" },
    { QCONV_SHAPE2 (4, 3), { { 0, 0, 1, 4, FALSE, 0, G_MAXUINT64, 3 } }, 1, "*has 6 columns, which is not enough" },
    { QCONV_SHAPE2 (4, 3), { { 0, 0, 1, 4, TRUE, 0, 0, 3 } }, 1, "*columns, which is not enough" },
    { QCONV_SHAPE2 (4, 2 * COLS), { { 0, 0, 1, 4 }, { 1, 0, 1, 25, FALSE, COLS } }, 2, "*which is not enough" },
    { QCONV_SHAPE2 (0, COLS), { { 0, 0, 0, 0, FALSE } }, 0, "*\"made.weight\" would be made of nothing" },
  };
  Model m;

  model_init (&m);
  for (guint i = 0; i < G_N_ELEMENTS (wrong); i++)
    {
      g_autoptr (GPtrArray) sources = g_ptr_array_new ();
      GArray *parts = g_array_new (FALSE, FALSE, sizeof (Part));
      g_autoptr (GError) error = NULL;

      g_ptr_array_add (sources, g_ptr_array_index (m.layers, 0));
      g_ptr_array_add (sources, g_ptr_array_index (m.layers, 1));
      g_array_append_vals (parts, wrong[i].parts, wrong[i].n);
      g_assert_null (qconv_compose ("made.weight", &wrong[i].shape, sources, parts, &error));
      g_assert_error (error, QCONV_ERROR, QCONV_ERROR_UNSUPPORTED);
      g_assert_true (g_pattern_match_simple (wrong[i].text, error->message));
    }
  model_clear (&m);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autofree char *path = g_strconcat ("/core/compose/", cases[i].title, NULL);

      g_test_add_data_func (path, &cases[i], test_case);
    }
  g_test_add_func ("/core/compose/refused", test_refused);
  return g_test_run ();
}
