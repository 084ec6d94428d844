/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Identifies an opened model, or a part of it, by the families, and checks that loaders will identify the output
   alike. */
#include "graph/identify.h"

#include <string.h>

#include "families/expand.h"
#include "families/keymap.h"
#include "families/missing.h"
#include "families/resemble.h"
#include "graph/restore.h"
#include "graph/stated.h"
#include "graph/unwrap.h"

#define HEAD_DIM "head_dim"
#define ORIGINAL "original"

static Names *
all_names (const GPtrArray *layers)
{
  Names *names = qconv_names_new ();

  for (guint i = 0; i < layers->len; i++)
    {
      const SourceLayer *s = g_ptr_array_index (layers, i);

      qconv_names_add (names, s->plain_name, &s->layer->pub.shape);
    }
  return names;
}

const Families *
qconv_model_families (const QconvModel *m, GError **error)
{
  return qconv_knowledge_families (m->knowledge, error);
}

const char *
qconv_model_architecture (const QconvModel *m)
{
  GVariant *v = qconv_directory_fact (m->directory, QCONV_FACT_ARCHITECTURE);

  return v != NULL ? g_variant_get_string (v, NULL) : NULL;
}

const char *
qconv_model_architecture_of (const QconvModel *m, const Identity *id)
{
  const char *stated = qconv_model_architecture (m);

  return stated != NULL ? stated : qconv_identity_architecture (id);
}

const char *
qconv_model_row_order (const QconvModel *m)
{
  GVariant *v = qconv_directory_fact (m->directory, QCONV_FACT_ROW_ORDER);

  return v != NULL ? g_variant_get_string (v, NULL) : NULL;
}

static guint64
number_fact (const QconvModel *m, QconvFact fact)
{
  GVariant *v = qconv_directory_fact (m->directory, fact);

  return v != NULL ? g_variant_get_uint64 (v) : 0;
}

/* Returns the rows of a query head, which no shape shows, or 0 if neither the file nor the config.json beside it states
   them. @q: rows of all heads */
static guint64
rows_of_head (const QconvModel *m, guint64 q)
{
  guint64 stated = number_fact (m, QCONV_FACT_HEAD_DIM), heads = number_fact (m, QCONV_FACT_N_HEADS);

  if (stated > 0 && stated <= G_MAXINT64 && q % stated == 0)
    return stated;
  return heads > 0 && q % heads == 0 ? q / heads : qconv_stated_head_rows (m, q);
}

static void
set_head_dim (const QconvModel *m, Identity *id)
{
  gboolean known = qconv_dims_known (id->dims, HEAD_DIM);
  guint64 rows = known ? rows_of_head (m, (guint64) MAX (qconv_dims_get (id->dims, "q"), 0)) : 0;

  if (rows > 0)
    qconv_dims_set (id->dims, HEAD_DIM, (gint64) rows);
}

/* Returns whether the file has the names and sizes of a published model, whose heads are known */
static gboolean
knows_heads (const Identity *id)
{
  const FamilyVariant *v = strcmp (id->naming, ORIGINAL) == 0 && id->variant != NULL
                               ? qconv_family_variant (id->family, id->variant)
                               : NULL;

  for (guint i = 0; v != NULL && !v->synthetic && i < v->dims.n; i++)
    if (strcmp (v->dims.at[i].name, HEAD_DIM) == 0)
      return v->dims.at[i].value == qconv_dims_get (id->dims, HEAD_DIM);
  return FALSE;
}

gboolean
qconv_model_states_heads (const QconvModel *m, const Identity *id)
{
  return rows_of_head (m, (guint64) MAX (qconv_dims_get (id->dims, "q"), 0)) > 0 || knows_heads (id);
}

Identity *
qconv_layers_identify (const QconvModel *m, const GPtrArray *layers, const char *start, GError **error)
{
  const Families *families = qconv_model_families (m, error);
  g_autoptr (Names) names = families != NULL ? all_names (layers) : NULL;
  g_autoptr (Identity) id = families != NULL ? qconv_identify_behind (families, names, start, error) : NULL;
  g_autoptr (Names) restored = id != NULL ? qconv_restore_shapes (id, names) : NULL;

  if (restored != NULL)
    {
      g_clear_pointer (&id, qconv_identity_free);
      id = qconv_identify_behind (families, restored, start, error);
    }
  if (id != NULL)
    set_head_dim (m, id);
  return g_steal_pointer (&id);
}

const Identity *
qconv_model_identity (const QconvModel *m, GError **error)
{
  Knowledge *k = m->knowledge;

  if (k->identity == NULL)
    k->identity = qconv_layers_identify (m, m->layers, "", error);
  return k->identity;
}

gboolean
qconv_identity_known (const Identity *id)
{
  return qconv_family_base (id->family) != id->family;
}

const Identity *
qconv_model_known (const QconvModel *m, GError **error)
{
  const Identity *id = qconv_model_identity (m, error);

  return id != NULL && qconv_identity_known (id) ? id : NULL;
}

Names *
qconv_layers_names (const GPtrArray *layers, const Identity *id)
{
  g_autoptr (Names) names = all_names (layers);

  return qconv_names_behind (names, id->prefix, &qconv_family_data (id->family)->prefix_rewrites);
}

GPtrArray *
qconv_layers_missing (const QconvModel *m, const GPtrArray *layers, const Identity *id, const Family **of)
{
  gboolean known = qconv_identity_known (id);
  g_autoptr (Names) names = known ? qconv_layers_names (layers, id) : all_names (layers);
  g_autoptr (Dims) stated = NULL;

  *of = known ? id->family : NULL;
  stated = known ? qconv_stated_blocks (m, id->family) : NULL;
  return known ? qconv_identity_missing (id, names, stated)
               : qconv_identity_resembles (qconv_model_families (m, NULL), names, id, of);
}

/* Returns the first dimension in which the two differ and that loaders infer from shapes, or NULL */
static const char *
other_dimension (const Identity *a, const Identity *b)
{
  const FamilyDims *dims = &qconv_family_data (a->family)->dims;
  gboolean same_naming = strcmp (a->naming, b->naming) == 0;

  for (guint i = 0; i < dims->n; i++)
    {
      const FamilyDim *dim = &dims->at[i];

      /* The presence of a tensor may depend on its spelling, which another naming does not show */
      if (qconv_dims_get (a->dims, dim->name) != qconv_dims_get (b->dims, dim->name)
          && (same_naming || dim->infer.present == NULL) && !dim->unseen && !dim->infer.constant.given)
        return dim->name;
    }
  return NULL;
}

/* Returns: (transfer full): the family and the variant, if it is known, as messages name a model */
static char *
title_of (const Identity *id)
{
  return g_strjoin (" ", qconv_family_id (id->family), id->variant, NULL);
}

gboolean
qconv_model_check_recognised (const QconvModel *m, const Identity *is, const QconvDirectory *planned, GError **error)
{
  g_autoptr (Identity) seen = NULL;
  g_autoptr (Names) names = qconv_names_new ();
  const Families *families = qconv_model_families (m, error);
  const char *dimension;

  for (guint i = 0; families != NULL && i < qconv_directory_n_tensors (planned); i++)
    {
      const QconvTensor *t = qconv_directory_tensor (planned, i);
      g_autofree char *name = qconv_unwrap_name (families, t->name);

      qconv_names_add (names, name, &t->shape);
    }
  seen = families != NULL ? qconv_identify (families, names, error) : NULL;
  if (seen == NULL)
    return FALSE;
  if (seen->family != is->family || g_strcmp0 (seen->variant, is->variant) != 0)
    {
      g_autofree char *taken_for = title_of (seen), *title = title_of (is);

      return qconv_fail (error, QCONV_ERROR_OPTION,
                         "a loader would take the output for %s instead of %s; keep more layers", taken_for, title);
    }
  dimension = other_dimension (is, seen);
  return dimension == NULL
         || qconv_fail (error, QCONV_ERROR_OPTION,
                        "a loader would see %s = %" G_GINT64_FORMAT " instead of %" G_GINT64_FORMAT
                        " in the output; keep more layers",
                        dimension, qconv_dims_get (seen->dims, dimension), qconv_dims_get (is->dims, dimension));
}

const char *
qconv_identity_choose_naming (const Identity *id, const char *const *namings)
{
  for (guint i = 0; namings != NULL && namings[i] != NULL; i++)
    if (strcmp (namings[i], id->naming) == 0 || qconv_keymap_exists (id->family, id->variant, id->naming, namings[i]))
      return namings[i];
  if (namings == NULL)
    return NULL;
  return g_strv_contains (namings, "original") ? "original" : namings[0];
}

char *
qconv_identity_config (const Identity *id)
{
  const FamilyVariants *variants = &qconv_family_data (id->family)->variants;

  for (guint i = 0; i < variants->n; i++)
    if (g_strcmp0 (variants->at[i].name, id->variant) == 0)
      return g_strdup (variants->at[i].header_config);
  return NULL;
}

/* Names of more families than this help nobody */
#define MOST_LISTED 6

/* Returns whether a map of @f makes names of @naming */
static gboolean
has_naming (const Family *f, const char *naming)
{
  const FamilyKeymaps *maps = &qconv_family_data (f)->keymaps;

  for (guint i = 0; i < maps->n; i++)
    if (strcmp (maps->at[i].a, naming) == 0 || strcmp (maps->at[i].b, naming) == 0)
      return TRUE;
  return FALSE;
}

gboolean
qconv_identity_lacks_naming (const QconvModel *m, const Identity *id, const char *naming, GError **error)
{
  const Families *families = qconv_model_families (m, error);
  gboolean variant = has_naming (id->family, naming);
  g_autoptr (GString) others = g_string_new (NULL);
  guint n = 0;

  for (guint i = 0; families != NULL && i < qconv_families_list (families)->len; i++)
    {
      const Family *f = g_ptr_array_index (qconv_families_list (families), i);

      if (f == id->family || !has_naming (f, naming))
        continue;
      g_string_append_printf (others, "%s%s", n > 0 ? ", " : "; these families can: ", qconv_family_id (f));
      n++;
    }
  if (n > MOST_LISTED || variant)
    g_string_truncate (others, 0);
  return families != NULL
         && qconv_fail (error, QCONV_ERROR_UNSUPPORTED, "%s%s%s in %s naming cannot be written in %s naming%s",
                        variant && id->variant != NULL ? id->variant : "", variant && id->variant != NULL ? " of " : "",
                        qconv_family_title (id->family), id->naming, naming, others->str);
}
