/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Matrices of w4a8 and w6a8 for the tests of this folder. Any error aborts the test. */
#pragma once
#include "quantizer-driver.h"

const QconvQuantizer *find_quantizer (const char *scheme);
/* Returns: (transfer full): @options as in encoded_new() */
Encoded *new_matrix (const char *scheme, const char *options, QconvDType dtype, guint64 rows, guint64 cols);
gboolean has_six_bits (const Encoded *e);
/* Returns: (transfer full): the codes, one a byte */
guint8 *spread_codes (const Encoded *e);
