/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tests that each target writes the same bytes at every CPU level, which is chosen once per process, so the program
   runs. qconv-plugin-check tests threads, memory and what is converted again, but has no models of families: for
   targets that need one, all of it is tested here. */
#include "sample.h"

/* One way to run; @level: (nullable): NULL, and one that the machine lacks, stand for its best one */
typedef struct {
  const char *level, *threads, *memory;
} Way;

static const Way ways[]
    = { { NULL, "2", "1G" }, { "scalar", "1", "256M" }, { "avx2", "5", "4G" }, { "scalar", "5", "256M" } };

static char *generic, *family;

/* Converts @input to @target. Returns: (transfer full): the bytes */
static GBytes *
convert (const char *input, const char *target, const Way *way, const char *name)
{
  const char *const *only = sample_only (target);
  g_autofree char *output = g_build_filename (sample_folder (), name, NULL);
  const char *words[] = { g_getenv ("QCONV_PROGRAM"),
                          "--to",
                          target,
                          "--force",
                          "--progress=none",
                          "-j",
                          way->threads,
                          "--memory",
                          way->memory,
                          input,
                          output,
                          only != NULL ? "--only" : NULL,
                          only != NULL ? only[0] : NULL,
                          NULL };
  g_auto (GStrv) environment = g_get_environ ();
  g_autofree char *said = NULL;
  g_autoptr (GError) error = NULL;
  int status;

  if (way->level != NULL)
    environment = g_environ_setenv (environment, "QCONV_CPU", way->level, TRUE);
  g_spawn_sync (NULL, (char **) words, environment, G_SPAWN_STDOUT_TO_DEV_NULL, NULL, NULL, NULL, &said, &status,
                &error);
  g_assert_no_error (error);
  if (!g_spawn_check_wait_status (status, &error))
    g_error ("%s: %s: %s", target, error->message, said);
  return sample_read (output);
}

static void
test_target (gconstpointer target)
{
  gboolean all = sample_needs_family (target);
  const char *input = all ? family : generic;
  g_autofree char *again = g_build_filename (sample_folder (), "0", NULL);
  g_autoptr (GBytes) want = convert (input, target, &ways[0], "0"), moved = NULL;

  for (guint i = 1; i < (all ? G_N_ELEMENTS (ways) : 2); i++)
    {
      g_autoptr (GBytes) got = convert (input, target, &ways[i], "1");

      if (!g_bytes_equal (got, want))
        g_error ("%s: other bytes with %s threads, %s of memory and CPU level %s", (const char *) target,
                 ways[i].threads, ways[i].memory, ways[i].level);
    }
  if (!all)
    return;
  moved = convert (again, target, &ways[0], "1");
  g_assert_true (g_bytes_equal (moved, want));
}

int
main (int argc, char **argv)
{
  int status;

  g_test_init (&argc, &argv, NULL);
  generic = sample_generate ("--layers 1 --rows 256 --cols 512", "generic.safetensors");
  family = sample_generate (SAMPLE_FAMILY_MODEL, "family.safetensors");
  sample_add_targets ("/same/", test_target, NULL);
  status = g_test_run ();
  g_free (generic);
  g_free (family);
  sample_finish ();
  return status;
}
