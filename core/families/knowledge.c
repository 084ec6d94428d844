/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Loads the catalogue of families once per process, and once more for a model with a --family-file. */
#include "families/knowledge.h"

const Families *
qconv_families_known (GError **error)
{
  static Families *families;
  static GError *broken;
  static gsize loaded;

  if (g_once_init_enter (&loaded))
    {
      families = qconv_families_load (NULL, &broken);
      g_once_init_leave (&loaded, 1);
    }
  if (families == NULL)
    g_propagate_error (error, g_error_copy (broken));
  return families;
}

Knowledge *
qconv_knowledge_new (const char *family_file)
{
  Knowledge *k = g_new0 (Knowledge, 1);

  k->family_file = g_strdup (family_file);
  return k;
}

void
qconv_knowledge_free (Knowledge *k)
{
  g_clear_pointer (&k->identity, qconv_identity_free);
  g_clear_pointer (&k->families, qconv_families_free);
  g_free (k->family_file);
  g_free (k);
}

const Families *
qconv_knowledge_families (Knowledge *k, GError **error)
{
  if (k->family_file == NULL)
    return qconv_families_known (error);
  if (k->families == NULL)
    k->families = qconv_families_load (k->family_file, error);
  return k->families;
}
