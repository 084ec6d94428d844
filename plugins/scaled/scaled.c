/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The reader of codes beside scales that no other reader explains, and the table of the plugin. It decodes the forms of
   fp8.c; all others become layers that nothing decodes, so that no target takes the codes for numbers. */
#include "formats.h"
#include "fp8.h"
#include "qconv-plugin.h"

/* It claims last: the other readers know their forms better. */
#define LAST 1

static guint
score (const QconvReader *self, const QconvDirectory *d)
{
  g_autoptr (GPtrArray) groups = scaled_groups (d, NULL);

  return groups->len > 0 ? LAST : 0;
}

/* @why: (nullable): the reason that errors repeat; NULL: the scheme says it */
static void
claim_foreign (const ScaledGroup *g, const char *scheme, const char *why, QconvClaims *claims)
{
  const QconvShape *s = &g->codes->shape;
  guint64 rows = s->rank > 0 ? s->dim[0] : 1, items = 0;
  guint64 cols = qconv_shape_items (s, &items) && rows > 0 ? items / rows : 0;
  QconvClaim *l = qconv_claims_layer (claims, g->layer, scheme, NULL, rows, cols, QCONV_BF16);

  qconv_claim_shape (l, s);
  if (why != NULL)
    qconv_claim_hint (l, QCONV_HINT_UNDECODED, why);
  qconv_claim_bind (l, "codes", NULL, g->codes, NULL);
  for (guint i = 0; i < g->members->len; i++)
    {
      const QconvTensor *t = g_ptr_array_index (g->members, i);

      qconv_claim_bind (l, t->name, NULL, t, NULL);
    }
}

/* Claims @g under the name of its format. @why: (nullable): a reason that the tensors give */
static void
claim_named (const ScaledGroup *g, const char *stated, const char *why, QconvClaims *claims)
{
  const char *advice;
  g_autofree char *scheme = scaled_foreign_scheme (g, stated, &advice);

  claim_foreign (g, scheme, why != NULL ? why : advice, claims);
}

/* Returns whether one of @names is @name with one of the characters @ends and more behind it: "q.weight.absmax" of
   "q.weight". Biases do not count */
static gboolean
has_attached (GTree *names, const char *name, const char *ends)
{
  for (const char *end = ends; *end != '\0'; end++)
    {
      g_autofree char *start = g_strdup_printf ("%s%c", name, *end);

      for (GTreeNode *n = g_tree_lower_bound (names, start); n != NULL && g_str_has_prefix (g_tree_node_key (n), start);
           n = g_tree_node_next (n))
        if (!g_str_has_suffix (g_tree_node_key (n), "bias"))
          return TRUE;
    }
  return FALSE;
}

/* States that what no group explains is plain, except a tensor with others attached to its name: core judges it */
static void
state_plain (const QconvDirectory *d, QconvClaims *claims)
{
  g_autoptr (GTree) names = g_tree_new ((GCompareFunc) strcmp);

  for (guint i = 0; i < qconv_directory_n_tensors (d); i++)
    g_tree_insert (names, (gpointer) qconv_directory_tensor (d, i)->name, NULL);
  for (guint i = 0; i < qconv_directory_n_tensors (d); i++)
    {
      const QconvTensor *t = qconv_directory_tensor (d, i);
      const char *dot = strrchr (t->name, '.');
      g_autofree char *module = dot != NULL ? g_strndup (t->name, (gsize) (dot - t->name)) : NULL;

      if (!qconv_claims_taken (claims, t) && !has_attached (names, t->name, ".:_")
          && (module == NULL || !has_attached (names, module, "_")))
        qconv_claims_state_plain (claims, t);
    }
}

static gboolean
claim (const QconvReader *self, const QconvDirectory *d, const QconvValues *options, QconvClaims *claims,
       GError **error)
{
  g_autoptr (GPtrArray) groups = scaled_groups (d, claims);
  guint64 block[2] = { 0, 0 };
  const char *stated = NULL;

  if (groups->len > 0)
    {
      scaled_read_block_size (d, block);
      stated = scaled_stated_format (d);
    }
  for (guint i = 0; i < groups->len; i++)
    {
      const ScaledGroup *g = g_ptr_array_index (groups, i);
      gboolean strange = scaled_is_strange (g->codes->dtype);
      g_autofree char *why = NULL;

      if (qconv_claims_taken (claims, g->codes) || qconv_claims_stated_plain (claims, g->codes)
          || (!g->scaled && !g->packed && !strange))
        continue;
      if (!strange && scaled_claim_fp8 (g, block, claims, &why))
        continue;
      if (strange && !g->scaled)
        claim_foreign (g, qconv_dtype_name (g->codes->dtype), "qconv knows no numbers of this type", claims);
      else
        claim_named (g, stated, why, claims);
    }
  state_plain (d, claims);
  return TRUE;
}

static const QconvReader reader = {
  .id = "scaled",
  .summary = N_ ("FP8 weights with weight_scale_inv and the like; names codes that cannot be decoded"),
  .score = score,
  .claim = claim,
};

QCONV_PLUGIN_DEFINE (scaled, .summary = N_ ("codes beside scales that no other reader explains"),
                     .license = "LGPL-2.1-or-later", .gettext_domain = GETTEXT_PACKAGE,
                     .readers = (const QconvReader *const[]) { &reader, NULL })
