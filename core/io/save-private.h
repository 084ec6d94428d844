/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What save.c and save-bytes.c share. */
#pragma once
#include "io/save.h"

/**
 * Save:
 * @temporary: (nullable): NULL when the file has its name
 * @aside: (nullable): a second name of the file that this one has replaced, until all files of the run have their names
 * @replaces: the name was that of another file
 * @kept: the temporary file stays if it does not get its name
 */
struct _Save {
  char *path, *temporary, *aside;
  int fd;
  guint64 size;
  gboolean replaces, kept;
};

/* Makes the file as large as it will be, with blocks for all of it, so that a full disk is found before the work. Not
   all file systems can allocate blocks */
gboolean qconv_save_allocate (Save *s, GError **error);
