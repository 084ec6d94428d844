/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Runs the jobs of structured fuzz inputs and holds them to what every run promises. The targets that write use it. */
#pragma once
#include <stdint.h>

#include "recipe.h"

/* What every target defines */
int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

/* Empties the folders of input and output. The first call makes them in $TMPDIR, and they go when the program ends */
void trial_begin (void);
/* Returns: (transfer full): the path of @name in the folder of the inputs */
char *trial_path (const char *name);
/* Writes a file into the folder of the inputs. Returns: (transfer full): its path */
char *trial_write (const char *name, gconstpointer bytes, gsize n);
/* Writes all files of @r */
void trial_write_files (const Recipe *r);

/**
 * Trial: what is run, and what happened.
 *
 * @input: the path to open
 * @open: options of it
 * @job: without an output
 * @output: (out) (transfer full) (nullable): the path of the output; NULL if there is an error
 * @error: (out) (transfer full) (nullable)
 */
typedef struct {
  const char *input;
  QconvOpenOptions open;
  QconvJob job;
  char *output;
  GError *error;
} Trial;
/* Opens, plans and runs a job twice, with other threads and memory. Both runs must give the same bytes, as many as were
   planned, or the same error; nothing else may be left in the folder of the output; the output must pass a
   verification. */
void trial_run (Trial *t);
void trial_clear (Trial *t);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Trial, trial_clear)

/* Returns the number of outputs that all trials together have written */
guint trial_n_written (void);
