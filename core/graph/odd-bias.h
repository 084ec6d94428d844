/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Finds biases that do not fit their weights. Opening a model warns of them, a plan and verify report them. */
#pragma once
#include "graph/model.h"

/* Returns: (transfer none) (nullable): the bias of the plain matrix @s of @m, if it does not have one item for each
   row. Readers judge the biases of quantized layers. @encoded: its rows are taken for outputs; else a bias may have an
   item for each column, as some language models have it */
const SourceLayer *qconv_odd_bias (const QconvModel *m, const SourceLayer *s, gboolean encoded);
/* Returns: (transfer full): what is wrong with @bias of @s */
char *qconv_odd_bias_text (const SourceLayer *bias, const SourceLayer *s);
