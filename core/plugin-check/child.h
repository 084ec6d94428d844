/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The child process: it loads the module and runs rows, whose results are lines to the parent. A line is a word and a
   text: "load REASON" if the module does not load, "row NAME", "at STEP", "ok", "skip REASON", "fail REASON", "end". */
#pragma once
#include <glib.h>

/**
 * CheckJob: what a child does.
 * @name: of the module; QCONV_PLUGIN_PATH begins with the folder that holds it
 * @folder: scratch folder for files
 * @samples: NULL-terminated paths
 * @first: number of the first row to run; negative: only load the module
 */
typedef struct {
  const char *name, *path, *folder;
  char **samples;
  gint first;
} CheckJob;

/* Does @job and writes lines to @fd. Called in a process of its own, which ends afterwards */
void check_child (const CheckJob *job, int fd);
