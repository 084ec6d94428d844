/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Looks at the files beside the input that belong to the model: its tokenizer, and a file with its vision part. The
   plan calls it after all layers. */
#pragma once
#include "plan/plan.h"

/* Adds to the output the tokenizer that the loader of a text encoder expects as a tensor. Takes it from the file beside
   the input; warns if there is none */
gboolean qconv_beside_add_tokenizer (QconvPlan *p, GError **error);
/* Warns if the vision part of the model lies in another file, which the output then lacks */
void qconv_beside_warn_vision (const QconvPlan *p);
