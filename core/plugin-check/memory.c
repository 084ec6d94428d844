/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Measures the memory of a conversion against what its plan states. A hook that allocates a copy of a whole layer is
   found by it; the rows about targets call it. */
#include <malloc.h>
#include <string.h>

#include "plugin-check/check.h"

/* For what lies outside of the plan: pages of libraries and of the heap, open files, the index of the model */
enum { SLACK = 4 << 20 };

#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED TRUE
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZED TRUE
#endif
#endif
#ifndef SANITIZED
#define SANITIZED FALSE
#endif

/* Reads one line of /proc/self/status. Returns bytes; 0 if the system does not tell */
static guint64
status_bytes (const char *key)
{
  g_autofree char *text = NULL;
  const char *line;

  if (!g_file_get_contents ("/proc/self/status", &text, NULL, NULL))
    return 0;
  line = strstr (text, key);
  return line != NULL ? g_ascii_strtoull (line + strlen (key), NULL, 10) << 10 : 0;
}

/* Begins to measure: the peak becomes what is in use. Large blocks go back to the system as soon as they are freed: the
   heap would keep some, depending on its holes, and they would count. Returns FALSE if the system cannot do this */
static gboolean
forget_peak (guint64 *in_use)
{
  FILE *f;
  gboolean done;

  mallopt (M_MMAP_THRESHOLD, 128 << 10);
  malloc_trim (0);
  f = fopen ("/proc/self/clear_refs", "w");
  done = f != NULL && fputs ("5", f) >= 0;
  if (f != NULL)
    done &= fclose (f) == 0;
  *in_use = status_bytes ("VmRSS:");
  return done && *in_use > 0;
}

/* Converts @input with the least memory that a plan accepts */
static gboolean
convert_within (Check *c, const char *input, const char *target, const char *output, GError **error)
{
  CheckWay way = { .target = target, .n_threads = 1 };
  g_autofree char *path = check_path (c, output);
  g_autoptr (QconvModel) model = NULL;
  g_autoptr (QconvPlan) plan = NULL;
  g_autoptr (QconvReport) report = NULL;
  guint64 before, peak, stated;

  if (!check_least_memory (c, input, target, &way.memory, error))
    return FALSE;
  model = check_open (input, NULL, error);
  plan = model != NULL ? check_plan (model, &way, path, error) : NULL;
  if (plan == NULL)
    return FALSE;
  stated = qconv_plan_peak_memory (plan);
  check_step (c, "%s to %s in %" G_GUINT64_FORMAT " KiB", input, target, way.memory >> 10);
  if (!forget_peak (&before))
    return check_skip (error, "this system does not tell the peak of memory");
  if (!qconv_plan_run (plan, NULL, NULL, NULL, &report, error))
    return FALSE;
  peak = status_bytes ("VmHWM:");
  return peak <= before + stated + SLACK
         || check_fail (error,
                        "%" G_GUINT64_FORMAT " KiB of memory were taken, the plan states %" G_GUINT64_FORMAT
                        ": a hook allocates more than its scratch memory",
                        (peak - before) >> 10, stated >> 10);
}

gboolean
check_memory (Check *c, const char *target, GError **error)
{
  static const CheckLayer layers[] = { { 1024, 4096, CHECK_NOISE }, { 0 } };
  g_autofree char *input = NULL, *coded = check_path (c, "memory.coded");

  if (SANITIZED)
    return check_skip (error, "the sanitizer takes memory of its own");
  input = check_model (c, "memory.model", layers, QCONV_BF16, error);
  return input != NULL && convert_within (c, input, target, "memory.coded", error)
         && convert_within (c, coded, CHECK_DECODED, "memory.decoded", error);
}
