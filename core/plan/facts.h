/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Collects what is known about a model as texts for writers. plan.c calls it. */
#pragma once
#include "graph/identify.h"

/* Returns: (transfer full): name → text (both owned), as qconv_output_fact() hands them out. @naming and @prefix: of
   the names in the output; @architecture: (nullable): of the output */
GHashTable *qconv_facts_new (const Identity *id, const char *naming, const char *prefix, const char *architecture);
