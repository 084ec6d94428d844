/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The schemes that one run writes: the target's, and others that its writer takes. */
#pragma once
#include "graph/model.h"

/**
 * Scheme:
 * @target: the writer's row for it
 * @values: its options: what the target fixes and what the user set for all layers
 * @implied: nobody named it; options reach it only as ID.KEY
 */
typedef struct {
  const QconvQuantizer *quantizer;
  const QconvTarget *target;
  QconvValues *values;
  gboolean implied;
} Scheme;

typedef struct {
  const QconvTargetInfo *info;
  GPtrArray *list; /* Scheme */
} Schemes;

void qconv_schemes_init (Schemes *s, const QconvTargetInfo *info);
void qconv_schemes_clear (Schemes *s);
/* Returns: (transfer none) (nullable): the target's own scheme; NULL for plain targets and edits */
const Scheme *qconv_schemes_main (const Schemes *s);
/* Returns: (transfer none) (nullable): one that takes part */
const Scheme *qconv_schemes_find (const Schemes *s, const char *id);
/* A scheme that a family advises takes part, before options are handed out.
   Returns: (transfer none) (nullable): NULL where the writer or the registry has none
   such */
const Scheme *qconv_schemes_imply (Schemes *s, const char *id);
/* One that the user named; QCONV_ERROR_OPTION, from @option, says what the writer takes */
const Scheme *qconv_schemes_add (Schemes *s, const char *id, const char *option, GError **error);
/* Hands --effort and -o to all schemes, @others (element-type Participant) and the writer. QCONV_ERROR_OPTION: nobody
   knows an option, or a target fixes it */
gboolean qconv_schemes_apply (Schemes *s, const QconvJob *job, const GArray *others, QconvValues *writer,
                              GError **error);
