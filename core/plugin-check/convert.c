/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Converts files as the program would, and compares what the same conversion writes in different circumstances. The
   rows call it. */
#include <string.h>

#include "plugin-check/check.h"

const QconvTargetInfo *
check_target (const char *name)
{
  GPtrArray *targets = qconv_registry_targets ();

  for (guint i = 0; i < targets->len; i++)
    {
      const QconvTargetInfo *t = g_ptr_array_index (targets, i);

      if (g_strcmp0 (t->name, name) == 0)
        return t;
    }
  return NULL;
}

static QconvModel *
open_model (const char *path, const char *from, const char *family_file, GError **error)
{
  const QconvOpenOptions options = { .from = from, .family_file = family_file, .allow_nonfinite = TRUE };
  g_autoptr (GError) failed = NULL;
  QconvModel *model = qconv_model_open (path, &options, &failed);

  if (model == NULL)
    g_propagate_error (error, g_steal_pointer (&failed));
  return model;
}

QconvModel *
check_open (const char *path, const char *from, GError **error)
{
  return open_model (path, from, NULL, error);
}

static guint
threads_of (const CheckWay *way)
{
  return way->n_threads > 0 ? way->n_threads : 2;
}

QconvPlan *
check_plan (QconvModel *model, const CheckWay *way, const char *output, GError **error)
{
  const char *options[] = { way->option, NULL };
  const QconvTargetInfo *t = check_target (way->target);
  const QconvJob job = { .target = way->target,
                         .output = output,
                         .options = options,
                         /* Every layer that the scheme can hold, whatever its size */
                         .rules.only = t != NULL && t->quantizer != NULL ? QCONV_LIST (".") : NULL,
                         .names.naming = way->naming,
                         .run.memory = way->memory,
                         .run.n_threads = threads_of (way),
                         .run.force = TRUE,
                         .run.no_verify = way->unverified,
                         .run.allow_nonfinite = t != NULL && t->quantizer == NULL };

  return qconv_plan_new (model, &job, error);
}

/* Returns whether the plain file holds the weight as a parameter without ".weight" in its name, such as stacked
   experts. Nothing shows then that it is a weight */
static gboolean
is_parameter (const QconvModel *model, const QconvPlannedInfo *want)
{
  return strcmp (want->scheme, "plain") == 0
         && qconv_directory_find (qconv_model_directory (model), want->name) != NULL;
}

static guint
count_parameters (const QconvModel *model, const GArray *planned)
{
  guint n = 0;

  for (guint i = 0; i < planned->len; i++)
    n += is_parameter (model, &g_array_index (planned, QconvPlannedInfo, i));
  return n;
}

/* Checks that every weight of the plan is in the file, encoded as planned */
static gboolean
check_weights (QconvPlan *plan, const char *path, GError **error)
{
  g_autoptr (QconvModel) model = check_open (path, NULL, error);
  g_autoptr (GArray) planned = qconv_plan_weights (plan), found = model != NULL ? qconv_model_weights (model) : NULL;

  if (model == NULL)
    return FALSE;
  if (planned->len != found->len + count_parameters (model, planned))
    return check_fail (error, "%u weights were planned, but the written file holds %u", planned->len, found->len);
  for (guint i = 0; i < planned->len; i++)
    {
      const QconvPlannedInfo *want = &g_array_index (planned, QconvPlannedInfo, i);
      const QconvWeightInfo *got = NULL;

      if (is_parameter (model, want))
        continue;
      for (guint k = 0; k < found->len && got == NULL; k++)
        if (strcmp (g_array_index (found, QconvWeightInfo, k).name, want->name) == 0)
          got = &g_array_index (found, QconvWeightInfo, k);
      if (got == NULL)
        return check_fail (error, "layer \"%s\" was planned, but is not in the written file", want->name);
      if (strcmp (got->scheme, want->scheme) != 0)
        return check_fail (error, "layer \"%s\" was planned as %s, but is read back as %s", want->name, want->scheme,
                           got->scheme);
      /* The plan counts all tensors of the layer, markers too */
      if ((got->bytes == 0 && want->bytes > 0) || got->bytes > want->bytes)
        return check_fail (error, "layer \"%s\" takes %" G_GUINT64_FORMAT " bytes, %" G_GUINT64_FORMAT " were planned",
                           want->name, got->bytes, want->bytes);
    }
  return TRUE;
}

GBytes *
check_convert (Check *c, const char *input, const CheckWay *way, const char *output, GError **error)
{
  g_autofree char *path = check_path (c, output);
  g_autoptr (QconvModel) model = open_model (input, NULL, way->family_file, error);
  g_autoptr (QconvPlan) plan = NULL;
  g_autoptr (QconvReport) report = NULL;
  g_autoptr (GBytes) bytes = NULL;

  check_step (c, "%s to %s%s%s, %u threads, %" G_GUINT64_FORMAT " KiB", input,
              way->target != NULL ? way->target : "an edit", way->option != NULL ? " with " : "",
              way->option != NULL ? way->option : "", threads_of (way), way->memory >> 10);
  if (model != NULL)
    plan = check_plan (model, way, path, error);
  if (plan == NULL || !qconv_plan_run (plan, NULL, NULL, NULL, &report, error))
    return NULL;
  bytes = check_read (path, error);
  if (bytes == NULL || !check_weights (plan, path, error))
    return NULL;
  if (g_bytes_get_size (bytes) != qconv_plan_output_bytes (plan))
    {
      check_fail (error, "%" G_GUINT64_FORMAT " bytes were planned, %" G_GSIZE_FORMAT " written",
                  qconv_plan_output_bytes (plan), g_bytes_get_size (bytes));
      return NULL;
    }
  return g_steal_pointer (&bytes);
}

gboolean
check_least_memory (Check *c, const char *input, const char *target, guint64 *memory, GError **error)
{
  g_autofree char *path = check_path (c, "memory.out");
  g_autoptr (QconvModel) model = check_open (input, NULL, error);

  for (*memory = 64 << 10; model != NULL && *memory <= (guint64) 1 << 32; *memory *= 2)
    {
      const CheckWay way = { .target = target, .n_threads = 1, .memory = *memory };
      g_autoptr (GError) failed = NULL;
      g_autoptr (QconvPlan) plan = check_plan (model, &way, path, &failed);

      if (plan != NULL)
        return TRUE;
      if (!g_error_matches (failed, QCONV_ERROR, QCONV_ERROR_LIMIT))
        {
          g_propagate_error (error, g_steal_pointer (&failed));
          return FALSE;
        }
    }
  return model != NULL && check_fail (error, "no plan to %s fits 4 GiB", target);
}

gboolean
check_same_bytes (Check *c, const char *input, const char *target, GError **error)
{
  guint64 least = 0;
  g_autoptr (GBytes) want = NULL;

  if (!check_least_memory (c, input, target, &least, error))
    return FALSE;
  for (guint i = 0; i < 5; i++)
    {
      const CheckWay ways[] = { { target, NULL, 1, 0 },
                                { target, NULL, 2, 0 },
                                { target, NULL, 8, 0 },
                                { target, NULL, 1, least },
                                { target, NULL, 3, 2 * least } };
      g_autoptr (GBytes) got = NULL;

      /* Memory holds other bytes each time, so that bytes show that a hook leaves as they are */
      qconv_guard_buffers (TRUE, (guint8) (0xa5 + 0x11 * i));
      got = check_convert (c, input, &ways[i], "same.out", error);
      if (got == NULL)
        return FALSE;
      if (want == NULL)
        want = g_bytes_ref (got);
      if (!g_bytes_equal (got, want))
        return check_fail (error, "other bytes with %u threads and %" G_GUINT64_FORMAT " KiB than with one thread",
                           ways[i].n_threads, ways[i].memory >> 10);
    }
  return TRUE;
}
