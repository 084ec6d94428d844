/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The files that a run writes, and the checksum of every byte of a tensor that was meant to go into it.
   write-tensors.c and copy-tensors.c write through it. */
#pragma once
#include "base/checksum.h"
#include "io/save.h"
#include "plan/plan.h"

/**
 * OutputFile:
 * @saves: (array): of each file of the output
 * @resume: (nullable): the work of an earlier run, and the place to note what is done
 * @sums: (array): of each tensor, by its index in the planned directory; guarded by @lock
 */
typedef struct {
  const QconvOutput *output;
  Save *const *saves;
  struct _Resume *resume;
  Checksum *sums;
  GMutex lock;
} OutputFile;

/* @resume: (nullable) */
void qconv_output_file_init (OutputFile *f, const QconvOutput *output, Save *const *saves, struct _Resume *resume);
void qconv_output_file_clear (OutputFile *f);
/* Writes bytes [@first, @first + @n) of @t; any thread. @bytes: (nullable): NULL: zeros, which a new file holds */
gboolean qconv_output_file_write (OutputFile *f, const PlannedTensor *t, guint64 first, gconstpointer bytes, guint64 n,
                                  GError **error);
/* Lets the system copy @from to byte @first of @t, and reads @from into @room (from->n bytes) for the checksum; any
   thread. Sets *done to FALSE if the system cannot copy, like qconv_save_copy() */
gboolean qconv_output_file_copy (OutputFile *f, const PlannedTensor *t, guint64 first, const SourceRange *from,
                                 void *room, gboolean *done, GError **error);
/* Fails with QCONV_ERROR_BUG unless every tensor got as many bytes as it has */
gboolean qconv_output_file_complete (const OutputFile *f, GError **error);
/* Fails with QCONV_ERROR_INPUT if a tensor that was copied does not have the checksum that its file states: damage must
   not get a new checksum */
gboolean qconv_output_file_check_copies (const OutputFile *f, GError **error);
