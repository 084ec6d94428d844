/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* --like: what another file of the model left in high precision. */
#pragma once
#include "graph/mapping.h"

/* Returns: (transfer full) (nullable): original short name of each weight → whether it is quantized.
   QCONV_ERROR_OPTION where none is */
GHashTable *qconv_like_read (const char *path, GError **error);
