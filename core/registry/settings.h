/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Gives "[ID.]key=value" or "[ID.]key" to the features of one run that know the key. */
#pragma once
#include "qconv-types.h"

/* One feature that takes part in a run; @values stays the caller's */
typedef struct {
  const char *id;
  QconvValues *values;
} Participant;

/* Sets each of @options (NULL-terminated, may be NULL). A key without ID that two participants know must be qualified.
   With @complete an option that no participant knows is QCONV_ERROR_OPTION, else it is left for a later call */
gboolean qconv_settings_apply (const char *const *options, const Participant *participants, guint n, gboolean complete,
                               GError **error);
