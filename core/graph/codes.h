/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Unclaimed tensors that may be codes of a format that no reader knows. claimed-layers.c asks for each of them. */
#pragma once
#include "graph/claims.h"

/* The reason for types without numbers */
#define QCONV_NO_NUMBERS "qconv knows no numbers of this type"

/* Returns: (transfer full) (element-type QconvTensor): the tensors that no reader claimed or dropped, sorted by name */
GPtrArray *qconv_codes_unclaimed (const QconvDirectory *d, const QconvClaims *c);
/* Returns: (transfer full): why the items of @t may be no numbers: its type has none, or one of @unclaimed in its
   module could scale or index it; NULL if they are numbers */
char *qconv_codes_suspect (const GPtrArray *unclaimed, const QconvTensor *t);
