/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Takes tensors away from models of every family and asks what is missing. */
#include <string.h>

#include "families/missing.h"
#include "families/resemble.h"
#include "graph-fixture.h"

/* Returns the names of @m without tensor @i */
static Names *
names_without (const GraphModel *m, guint i)
{
  Names *names = qconv_names_new ();

  for (guint k = 0; k < m->tensors->len; k++)
    {
      const GraphTensor *t = g_ptr_array_index (m->tensors, k);

      if (k != i)
        qconv_names_add (names, t->name, &t->shape);
    }
  return names;
}

/* Takes away one weight after the other, of every eighth tensor. Without some of them the family or another dimension
   is recognised: that is another model */
static void
lose_weights (const GraphModel *m, gpointer data)
{
  guint *n_tried = data;

  if (!m->about->synthetic)
    return;
  for (guint i = 0; i < m->tensors->len; i++)
    {
      const GraphTensor *t = g_ptr_array_index (m->tensors, i);
      g_autoptr (GError) error = NULL;
      g_autoptr (Names) names = NULL;
      g_autoptr (Identity) id = NULL;

      if (i % 8 != 0 || !graph_is_layer (t) || t->layer->optional || t->layer->when != NULL)
        continue;
      names = names_without (m, i);
      id = qconv_identify (graph_families (), names, &error);
      g_assert_no_error (error);
      if (id->family != m->family || !qconv_dims_equal (id->dims, m->dims))
        continue;
      graph_assert_missing (id, names, t->name);
      (*n_tried)++;
    }
}

/* Tests that every weight that a model lacks is named */
static void
test_missing (void)
{
  guint n = 0;

  graph_each_model (lose_weights, &n);
  g_test_message ("%u weights", n);
  g_assert_cmpuint (n, >, 100);
}

/* Adds the tensors of @m whose names do not start with @start */
static Identity *
identify_without (const GraphModel *m, const char *start, Names *names)
{
  g_autoptr (GError) error = NULL;
  Identity *id;

  for (guint i = 0; i < m->tensors->len; i++)
    {
      const GraphTensor *t = g_ptr_array_index (m->tensors, i);

      if (!g_str_has_prefix (t->name, start))
        qconv_names_add (names, t->name, &t->shape);
    }
  id = qconv_identify (graph_families (), names, &error);
  g_assert_no_error (error);
  return id;
}

/* Takes away a block and the tensors that tell a variant from others */
static void
lose_parts (const GraphModel *m, gpointer data)
{
  static const struct {
    const char *variant, *start, *want;
  } parts[] = { { "2.1-vace-14b", "vace_patch_embedding.w", "vace_patch_embedding.weight" },
                { "2.1-i2v-14b", "blocks.0.cross_attn.v_img.b", "blocks.0.cross_attn.v_img.bias" },
                { "2.1-t2v-14b", "blocks.7.self_attn.q.w", "blocks.7.self_attn.q.weight" },
                { "2.1-t2v-14b", "blocks.7.", "" } };

  for (guint i = 0; i < G_N_ELEMENTS (parts); i++)
    if (strcmp (m->variant, parts[i].variant) == 0)
      {
        g_autoptr (Names) names = qconv_names_new ();
        g_autoptr (Identity) id = identify_without (m, parts[i].start, names);
        g_autoptr (GPtrArray) missing = NULL;

        g_assert_true (id->family == m->family);
        if (*parts[i].want != '\0')
          graph_assert_missing (id, names, parts[i].want);
        missing = qconv_identity_missing (id, names, NULL);
        for (guint k = 0; k < missing->len; k++)
          g_assert_true (g_str_has_prefix (g_ptr_array_index (missing, k), parts[i].start));
        g_assert_cmpuint (missing->len, >, 0);
        (*(guint *) data)++;
      }
}

static void
test_missing_parts (void)
{
  guint n = 0;

  graph_each_model (lose_parts, &n);
  g_assert_cmpuint (n, ==, 4);
}

/* Takes away tensors whose names hold @part. Returns how many tensors the result lacks to be of the family of @m */
static guint
count_resembling (const GraphModel *m, const char *part)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (Names) names = qconv_names_new ();
  g_autoptr (Identity) id = NULL;
  g_autoptr (GPtrArray) missing = NULL;
  const Family *family = NULL;

  for (guint i = 0; i < m->tensors->len; i++)
    {
      const GraphTensor *t = g_ptr_array_index (m->tensors, i);

      if (strstr (t->name, part) == NULL)
        qconv_names_add (names, t->name, &t->shape);
    }
  id = qconv_identify (graph_families (), names, &error);
  g_assert_no_error (error);
  missing = qconv_identity_resembles (graph_families (), names, id, &family);
  g_assert_true (missing->len == 0 || family == m->family);
  return missing->len;
}

/* Tests files that no family recognises: one without a single tensor, and one that lacks a norm of every block, as
   another architecture does */
static void
resemble (const GraphModel *m, gpointer data)
{
  if (strcmp (m->variant, "2.1-t2v-14b") == 0)
    g_assert_cmpuint (count_resembling (m, "head.modulation"), ==, 1);
  else if (strcmp (m->variant, "gemma2-2b") == 0)
    g_assert_cmpuint (count_resembling (m, "post_feedforward_layernorm"), ==, 0);
  else
    return;
  (*(guint *) data)++;
}

static void
test_resembles (void)
{
  guint n = 0;

  graph_each_model (resemble, &n);
  g_assert_cmpuint (n, ==, 2);
}

/* Tests that the last block of a published model is missed, and that no complete model misses one */
static void
lose_last_block (const GraphModel *m, gpointer data)
{
  g_autoptr (Names) names = qconv_names_new ();
  g_autoptr (Identity) id = NULL;
  gboolean wan = strcmp (m->variant, "2.1-t2v-14b") == 0;
  gint64 has = 0, wants = 0;

  id = identify_without (m, wan ? "blocks.39." : "no such name", names);
  if (id->family != m->family || m->about->synthetic)
    return;
  g_assert_cmpstr (qconv_identity_fewer_blocks (id, &has, &wants), ==, wan ? "2.1-t2v-14b" : NULL);
  if (wan)
    {
      g_assert_cmpint (has, ==, 39);
      g_assert_cmpint (wants, ==, 40);
      (*(guint *) data)++;
    }
}

static void
test_blocks (void)
{
  guint n = 0;

  graph_each_model (lose_last_block, &n);
  g_assert_cmpuint (n, ==, 1);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/graph/missing/weights", test_missing);
  g_test_add_func ("/graph/missing/parts", test_missing_parts);
  g_test_add_func ("/graph/missing/blocks", test_blocks);
  g_test_add_func ("/graph/missing/resembles", test_resembles);
  return g_test_run ();
}
