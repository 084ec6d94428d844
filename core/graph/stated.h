/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Finds how many blocks a model should have by what its file or the config.json beside it states. graph/identify.c asks
   when it looks for missing tensors. */
#pragma once
#include "families/dims.h"
#include "families/family.h"
#include "graph/model.h"

/* Returns the numbers of blocks of @f that @m states; empty if it states none. (transfer full) */
Dims *qconv_stated_blocks (const QconvModel *m, const Family *f);
/* Returns the path of the config.json beside @m, or NULL if there is none. (transfer full) */
char *qconv_stated_file (const QconvModel *m);
/* Returns the rows of a query head that the config.json beside the model states, or 0. @rows: of all heads */
guint64 qconv_stated_head_rows (const QconvModel *m, guint64 rows);
