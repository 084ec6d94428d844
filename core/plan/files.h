/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The files of the output: usually one. The plan divides the tensors among them, the run writes them. */
#pragma once
#include "plan/layout.h"
#include "plan/output.h"

/**
 * PlannedFile:
 * @path: its name on the disk
 * @container: (nullable): NULL: a file of bytes, all of which the layout holds as its header
 * @layout: where its tensors lie, the bytes at its start, and its size
 */
typedef struct {
  char *path;
  const QconvContainer *container;
  Layout layout;
} PlannedFile;

/* What the files are made of.
   @path: of the file if there is one, of the folder if the writer names files;
   @split: the bytes of tensors that a file may have; 0: any number */
typedef struct {
  QconvOutput *output;
  const char *path;
  guint64 split;
} FilesJob;

/* Decides which tensor goes into which file, and lays out all files. QCONV_ERROR_OPTION: the output cannot be split.
   Returns: (transfer full) (element-type PlannedFile): in the order in which they get their names */
GPtrArray *qconv_files_new (const FilesJob *job, GError **error);
/* Returns the bytes of all @files */
guint64 qconv_files_bytes (const GPtrArray *files);
