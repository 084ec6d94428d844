/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Models whose container lost axes: leading ones, or the fifth, folded into the first. */
#include "graph/restore.h"

#include <string.h>

#include "graph-fixture.h"

typedef void (*Spoil) (QconvShape *shape);

static void
drop_ones (QconvShape *shape)
{
  while (shape->rank > 1 && shape->dim[0] == 1)
    {
      shape->rank--;
      memmove (shape->dim, shape->dim + 1, shape->rank * sizeof *shape->dim);
    }
}

static void
fold (QconvShape *shape)
{
  if (shape->rank < 5)
    return;
  shape->dim[1] *= shape->dim[0];
  shape->rank--;
  memmove (shape->dim, shape->dim + 1, shape->rank * sizeof *shape->dim);
}

typedef struct {
  Spoil spoil;
  guint n_changed, n_models;
} Check;

/* Returns TRUE if @t has a bias. Without a bias nothing shows the number of rows that were folded. */
static gboolean
has_bias (const GraphModel *m, const GraphTensor *t)
{
  g_autofree char *layer = graph_layer_name (t), *bias = g_strconcat (layer, ".bias", NULL);

  for (guint i = 0; i < m->tensors->len; i++)
    if (g_str_equal (((const GraphTensor *) g_ptr_array_index (m->tensors, i))->name, bias))
      return TRUE;
  return FALSE;
}

static void
check_model (const GraphModel *m, gpointer data)
{
  Check *check = data;
  g_autoptr (Names) spoilt = qconv_names_new (), restored = NULL;
  g_autoptr (Identity) first = NULL, id = NULL;
  g_autoptr (GError) error = NULL;
  guint n = 0;

  for (guint i = 0; i < m->tensors->len; i++)
    {
      const GraphTensor *t = g_ptr_array_index (m->tensors, i);
      QconvShape shape = t->shape;

      if (check->spoil == drop_ones || (t->shape.rank >= 5 && has_bias (m, t)))
        check->spoil (&shape);
      n += !qconv_shape_equal (&shape, &t->shape);
      qconv_names_add (spoilt, t->name, &shape);
    }
  if (n == 0)
    return;
  first = qconv_identify (graph_families (), spoilt, &error);
  g_assert_no_error (error);
  g_assert_true (first->family == m->family);
  restored = qconv_restore_shapes (first, spoilt);
  if (restored == NULL)
    g_error ("%s %s: nothing is restored", qconv_family_id (m->family), m->variant);
  for (guint i = 0; i < m->tensors->len; i++)
    {
      const GraphTensor *t = g_ptr_array_index (m->tensors, i);

      if (!qconv_shape_equal (qconv_names_find (restored, t->name), &t->shape))
        g_error ("%s %s: %s", qconv_family_id (m->family), m->variant, t->name);
    }
  id = qconv_identify (graph_families (), restored, &error);
  g_assert_no_error (error);
  g_assert_cmpstr (id->variant, ==, graph_detected_as (m));
  g_assert_null (qconv_restore_shapes (id, restored));
  check->n_changed += n;
  check->n_models++;
}

static void
test_lost (gconstpointer spoil)
{
  Check check = { .spoil = *(const Spoil *) spoil };

  graph_each_model (check_model, &check);
  g_assert_cmpuint (check.n_models, >, 10);
  g_test_message ("%u shapes of %u models", check.n_changed, check.n_models);
}

/* have, want (0: not known), rows of the first axis; the restored shape has rank 0 if no lost axis can be found */
static const struct {
  QconvShape have, want;
  guint64 rows;
  QconvShape restored;
} shapes[] = {
  /* the first axes of ours are the last of GGUF's list: only ones there are dropped */
  { { 1, { 64 } }, { 3, { 1, 1, 64 } }, 0, { 3, { 1, 1, 64 } } },
  { { 2, { 16, 64 } }, { 3, { 1, 0, 0 } }, 0, { 3, { 1, 16, 64 } } },
  { { 2, { 16, 64 } }, { 3, { 0, 1, 64 } }, 0, { 3, { 16, 1, 64 } } },
  { { 2, { 16, 64 } }, { 3, { 1, 0, 32 } }, 0, { 0 } },
  { { 2, { 16, 64 } }, { 3, { 0, 0, 64 } }, 0, { 0 } },
  { { 2, { 16, 64 } }, { 3, { 1, 16, 32 } }, 0, { 0 } },
  /* The first two of five axes in one: with all sizes, or with the rows that the bias has */
  { { 4, { 48, 1, 2, 2 } }, { 5, { 3, 16, 1, 2, 2 } }, 0, { 5, { 3, 16, 1, 2, 2 } } },
  { { 4, { 48, 1, 2, 2 } }, { 5, { 0, 0, 1, 2, 2 } }, 3, { 5, { 3, 16, 1, 2, 2 } } },
  { { 4, { 48, 3, 2, 2 } }, { 5, { 0, 0, 3, 2, 2 } }, 5, { 0 } },
  { { 4, { 48, 3, 2, 2 } }, { 5, { 0, 0, 3, 2, 3 } }, 3, { 0 } },
  /* Nothing was lost */
  { { 2, { 16, 64 } }, { 2, { 16, 64 } }, 0, { 0 } },
  { { 3, { 1, 16, 64 } }, { 2, { 16, 64 } }, 0, { 0 } },
};

static void
test_shape (void)
{
  for (guint i = 0; i < G_N_ELEMENTS (shapes); i++)
    {
      QconvShape out = QCONV_SHAPE0;
      gboolean restored = qconv_restore_shape (&shapes[i].have, &shapes[i].want, shapes[i].rows, &out);

      if (restored != (shapes[i].restored.rank > 0) || (restored && !qconv_shape_equal (&out, &shapes[i].restored)))
        g_error ("shape %u", i);
    }
}

int
main (int argc, char **argv)
{
  static const Spoil spoils[] = { drop_ones, fold };

  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/graph/restore/shape", test_shape);
  g_test_add_data_func ("/graph/restore/ones", &spoils[0], test_lost);
  g_test_add_data_func ("/graph/restore/folded", &spoils[1], test_lost);
  return g_test_run ();
}
