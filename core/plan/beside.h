/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Looks for the tokenizer beside the input. The plan calls it after all layers. */
#pragma once
#include "plan/plan.h"

/* Adds to the output the tokenizer that the loader of a text encoder expects as a tensor. Takes it from the file beside
   the input; warns if there is none */
gboolean qconv_beside_add_tokenizer (QconvPlan *p, GError **error);
