/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The reader of gpt-oss: experts in MXFP4, whose codes and exponents lie in NAME_blocks and NAME_scales (transformers:
   integrations/mxfp4.py convert_moe_packed_tensors). And the plugin's descriptor. */
#include <string.h>

#include "load-rows.h"
#include "qconv-plugin.h"
#include "trouble.h"

#define SCORE 85
#define BLOCKS "_blocks"
#define SCALES "_scales"
#define MX_BLOCK 32
#define BLOCK_BYTES 16

static char *
stem_of (const QconvTensor *t, const char *end)
{
  return g_strndup (t->name, strlen (t->name) - strlen (end));
}

/* Returns whether @t holds codes: U8 [experts, rows, blocks, 16]. */
static gboolean
is_blocks (const QconvTensor *t)
{
  return g_str_has_suffix (t->name, BLOCKS) && t->dtype == QCONV_U8 && t->shape.rank == 4
         && t->shape.dim[3] == BLOCK_BYTES;
}

static guint
score (const QconvReader *self, const QconvDirectory *d)
{
  for (guint i = 0; i < qconv_directory_n_tensors (d); i++)
    {
      const QconvTensor *t = qconv_directory_tensor (d, i);
      g_autofree char *layer = is_blocks (t) ? stem_of (t, BLOCKS) : NULL;

      if (layer != NULL && qconv_directory_find2 (d, layer, SCALES) != NULL)
        return SCORE;
    }
  return 0;
}

/* Records what makes the layer of @codes unreadable. @scales: (nullable) */
static void
look_at (const QconvTensor *codes, const QconvTensor *scales, const char *layer, GPtrArray *troubles)
{
  const char *dot = strrchr (layer, '.'), *leaf = dot != NULL ? dot + 1 : layer;
  const QconvShape *w = &codes->shape;
  g_autofree char *shape = scales != NULL ? qconv_shape_to_string (&scales->shape) : NULL;
  guint64 items = 0;

  if (scales == NULL)
    qconv_trouble_add (troubles, QCONV_TROUBLE_BROKEN, layer, "missing", "%s" SCALES " is missing", leaf);
  else if (!qconv_shape_items (w, &items) || items == 0)
    qconv_trouble_add (troubles, QCONV_TROUBLE_BROKEN, layer, "shape", "%s" BLOCKS " is empty", leaf);
  else if ((scales->dtype != QCONV_U8 && scales->dtype != QCONV_F8_E8M0) || scales->shape.rank != 3
           || memcmp (scales->shape.dim, w->dim, 3 * sizeof w->dim[0]) != 0)
    qconv_trouble_add (troubles, QCONV_TROUBLE_BROKEN, layer, "shape",
                       "%s" SCALES " is %s %s where an exponent for every block of %s" BLOCKS " is needed", leaf,
                       qconv_dtype_name (scales->dtype), shape, leaf);
}

/* Claims the experts as one weight [experts, rows, columns]. */
static void
claim_experts (const QconvTensor *codes, const QconvTensor *scales, const char *layer, QconvClaims *claims)
{
  const QconvShape *w = &codes->shape;
  guint64 rows = w->dim[0] * w->dim[1], cols = w->dim[2] * MX_BLOCK;
  QconvClaim *c = qconv_claims_layer (claims, layer, "mxfp4", NULL, rows, cols, QCONV_BF16);

  qconv_claim_shape (c, &(QconvShape) { 3, { w->dim[0], w->dim[1], cols } });
  qconv_claim_bind (c, "codes", qconv_load_rows, codes, NULL);
  qconv_claim_bind (c, "block_scale", qconv_load_rows, scales, NULL);
}

/* Looks at each layer. @claims: (nullable): claims those that nobody has, and stops at the first that cannot be read */
static gboolean
walk (const QconvDirectory *d, GPtrArray *troubles, QconvClaims *claims)
{
  for (guint i = 0; i < qconv_directory_n_tensors (d); i++)
    {
      const QconvTensor *codes = qconv_directory_tensor (d, i), *scales;
      g_autofree char *layer = is_blocks (codes) ? stem_of (codes, BLOCKS) : NULL;

      if (layer == NULL || (claims != NULL && qconv_claims_taken (claims, codes)))
        continue;
      scales = qconv_directory_find2 (d, layer, SCALES);
      look_at (codes, scales, layer, troubles);
      if (claims != NULL && troubles->len > 0)
        return FALSE;
      if (claims != NULL)
        claim_experts (codes, scales, layer, claims);
    }
  return TRUE;
}

static gboolean
claim (const QconvReader *self, const QconvDirectory *d, const QconvValues *options, QconvClaims *claims,
       GError **error)
{
  g_autoptr (GPtrArray) troubles = qconv_troubles_new ();

  return walk (d, troubles, claims) || qconv_trouble_fail (g_ptr_array_index (troubles, 0), error);
}

static void
check (const QconvReader *self, const QconvDirectory *d, QconvProblems *problems)
{
  g_autoptr (GPtrArray) troubles = qconv_troubles_new ();

  walk (d, troubles, NULL);
  qconv_troubles_report (troubles, problems);
}

static const QconvReader reader = {
  .id = "gpt-oss",
  .summary = N_ ("experts of gpt-oss: MXFP4 in NAME_blocks and NAME_scales"),
  .score = score,
  .claim = claim,
  .check = check,
};

QCONV_PLUGIN_DEFINE (gpt_oss, .summary = N_ ("experts of gpt-oss"), .license = "LGPL-2.1-or-later",
                     .gettext_domain = GETTEXT_PACKAGE, .readers = (const QconvReader *const[]) { &reader, NULL })
