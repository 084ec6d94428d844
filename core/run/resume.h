/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The work that an interrupted run left: temporary files, and a journal of the layers that are done in them. run.c
   opens it, convert-layers.c skips what is done and notes the rest. */
#pragma once
#include "run/output-file.h"
#include "schedule/progress.h"

typedef struct _Resume Resume;

/* Opens what an earlier run of @p left, or begins anew, with a warning if that run had another plan. Fails if another
   run is at work, or the files are not qconv's. Returns: (transfer full) */
Resume *qconv_resume_open (const QconvPlan *p, GError **error);
/* Closes the files. They stay, unless qconv_resume_end() removed them */
void qconv_resume_free (Resume *r);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Resume, qconv_resume_free)
/* Returns: (transfer none) (array): the temporary file of each file of the output */
Save *const *qconv_resume_saves (Resume *r);
/* Reads the layers that the journal lists. Those that have their checksums are done, and their checksums are put into
   @file; all other bytes of the files become zero */
gboolean qconv_resume_take (Resume *r, OutputFile *file, const Listener *listener, GError **error);
/* Returns whether layer number @layer of the plan is done */
gboolean qconv_resume_is_done (const Resume *r, guint layer);
/* Notes that layer number @layer is done, with the checksums that @file has for it; any thread */
gboolean qconv_resume_note (Resume *r, const OutputFile *file, guint layer, GError **error);
/* Removes the journal when the output has its name (@error is NULL), and all files if @error means that another run
   would fail like this one. Otherwise tells the user that they stay */
void qconv_resume_end (Resume *r, const GError *error);
