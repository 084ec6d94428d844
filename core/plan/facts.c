/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Collects the family, the variant and the dimensions of a model for qconv_output_fact(). plan.c calls it. */
#include "plan/facts.h"

static void
add_fact (GHashTable *facts, const char *name, const char *text)
{
  if (text != NULL)
    g_hash_table_insert (facts, g_strdup (name), g_strdup (text));
}

GHashTable *
qconv_facts_new (const Identity *id, const char *naming, const char *prefix, const char *architecture)
{
  GHashTable *facts = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
  const FamilyDims *dims = &qconv_family_data (id->family)->dims;

  for (guint i = 0; id->dims != NULL && i < dims->n; i++)
    {
      const char *name = dims->at[i].name;
      g_autofree char *number = g_strdup_printf ("%" G_GINT64_FORMAT, qconv_dims_get (id->dims, name));

      if (qconv_dims_known (id->dims, name))
        add_fact (facts, name, number);
    }
  if (qconv_identity_known (id))
    {
      add_fact (facts, "family", qconv_family_id (id->family));
      add_fact (facts, "kind", qconv_family_kind (id->family));
      add_fact (facts, "naming", naming);
    }
  add_fact (facts, "variant", id->variant);
  add_fact (facts, "prefix", prefix);
  add_fact (facts, "architecture", architecture);
  return facts;
}
