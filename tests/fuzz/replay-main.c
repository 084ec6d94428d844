/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Runs a fuzz target over all files of the folders on the command line. A folder without files is a failure. With
   targets that write, inputs called ok-* must write an output, and those called refused-* must not. */
#include <gio/gio.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

/* The build defines QCONV_FUZZ_WRITES for targets that write */
#ifdef QCONV_FUZZ_WRITES
#include "trial.h"

static void
check_written (const char *name, guint n)
{
  if (g_str_has_prefix (name, "ok-") && n == 0)
    g_error ("%s: no output was written", name);
  if (g_str_has_prefix (name, "refused-") && n > 0)
    g_error ("%s: an output was written", name);
}
#else
static guint
trial_n_written (void)
{
  return 0;
}

static void
check_written (const char *name, guint n)
{
}
#endif

static guint
replay_folder (const char *folder)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GDir) dir = g_dir_open (folder, 0, &error);
  const char *name;
  guint n_files = 0;

  if (dir == NULL)
    g_error ("%s", error->message);
  while ((name = g_dir_read_name (dir)) != NULL)
    {
      g_autofree char *path = g_build_filename (folder, name, NULL), *data = NULL;
      guint n_written = trial_n_written ();
      gsize size;

      if (!g_file_test (path, G_FILE_TEST_IS_REGULAR))
        continue;
      if (!g_file_get_contents (path, &data, &size, &error))
        g_error ("%s", error->message);
      LLVMFuzzerTestOneInput ((const uint8_t *) data, size);
      check_written (name, trial_n_written () - n_written);
      n_files++;
    }
  if (n_files == 0)
    g_error ("%s: the folder has no file to replay", folder);
  g_print ("# %s: %u files\n", folder, n_files);
  return n_files;
}

int
main (int argc, char **argv)
{
  guint n_files = 0;

  for (int i = 1; i < argc; i++)
    n_files += replay_folder (argv[i]);
  if (n_files == 0)
    g_error ("no folder to replay: name at least one");
  g_print ("1..1\nok 1 %u files, %u outputs\n", n_files, trial_n_written ());
  return 0;
}
