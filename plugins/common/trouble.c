/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The list of troubles, which readers fill while they look at layers. */
#include "trouble.h"

static void
free_trouble (gpointer data)
{
  QconvTrouble *t = data;

  g_free (t->layer);
  g_free (t->message);
  g_free (t);
}

GPtrArray *
qconv_troubles_new (void)
{
  return g_ptr_array_new_with_free_func (free_trouble);
}

QconvTroubleWeight
qconv_trouble_weight (const GError *error)
{
  if (g_error_matches (error, QCONV_ERROR, QCONV_ERROR_UNSUPPORTED))
    return QCONV_TROUBLE_FOREIGN;
  return g_error_matches (error, QCONV_ERROR, QCONV_ERROR_NON_FINITE) ? QCONV_TROUBLE_NON_FINITE : QCONV_TROUBLE_BROKEN;
}

void
qconv_trouble_add (GPtrArray *troubles, QconvTroubleWeight weight, const char *layer, const char *code,
                   const char *format, ...)
{
  QconvTrouble *t = g_new0 (QconvTrouble, 1);
  va_list args;

  t->weight = weight;
  t->layer = g_strdup (layer);
  t->code = code;
  va_start (args, format);
  t->message = g_strdup_vprintf (format, args);
  va_end (args);
  g_ptr_array_add (troubles, t);
}

const QconvTrouble *
qconv_troubles_fatal (const GPtrArray *troubles)
{
  for (guint i = 0; i < troubles->len; i++)
    {
      const QconvTrouble *t = g_ptr_array_index (troubles, i);

      if (t->weight >= QCONV_TROUBLE_BROKEN)
        return t;
    }
  return NULL;
}

gboolean
qconv_trouble_fail (const QconvTrouble *t, GError **error)
{
  QconvError code = t->weight == QCONV_TROUBLE_FOREIGN      ? QCONV_ERROR_UNSUPPORTED
                    : t->weight == QCONV_TROUBLE_NON_FINITE ? QCONV_ERROR_NON_FINITE
                                                            : QCONV_ERROR_INPUT;

  return t->layer != NULL ? qconv_fail (error, code, "layer \"%s\": %s", t->layer, t->message)
                          : qconv_fail (error, code, "%s", t->message);
}

void
qconv_troubles_report (const GPtrArray *troubles, QconvProblems *problems)
{
  for (guint i = 0; i < troubles->len; i++)
    {
      const QconvTrouble *t = g_ptr_array_index (troubles, i);

      qconv_problems_add (problems, t->layer, t->code, "%s", t->message);
    }
}

void
qconv_troubles_report_mildly (const GPtrArray *troubles, QconvProblems *problems)
{
  for (guint i = 0; i < troubles->len; i++)
    {
      const QconvTrouble *t = g_ptr_array_index (troubles, i);

      if (t->weight == QCONV_TROUBLE_WARN)
        qconv_problems_warn_each (problems, t->layer, t->code, "%s", t->message);
      else
        qconv_problems_add (problems, t->layer, t->code, "%s", t->message);
    }
}

gboolean
qconv_troubles_claim (const GPtrArray *troubles, QconvClaims *claims, GError **error)
{
  const QconvTrouble *fatal = qconv_troubles_fatal (troubles);

  if (fatal != NULL)
    return qconv_trouble_fail (fatal, error);
  for (guint i = 0; i < troubles->len; i++)
    {
      const QconvTrouble *t = g_ptr_array_index (troubles, i);

      if (t->weight == QCONV_TROUBLE_WARN)
        qconv_claims_warn_each (claims, t->layer, t->code, "%s", t->message);
    }
  return TRUE;
}
