/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Shared by the FP8 quantizers of this plugin: a scale for the tensor, for every row, for every square block, or for
   some columns of a row. */
#pragma once
#include "qconv-plugin.h"

extern const QconvQuantizer fp8_tensor, fp8_row, fp8_block, fp8_group;

/* The row "effort" of every table of options */
/* clang-format off */
#define FP8_EFFORT                                                                                     \
  { .name = QCONV_EFFORT, .type = QCONV_CHOICE, .value = "search", .choices = QCONV_EFFORT_CHOICES,    \
    .help = N_ ("method for the scales: search has the smaller error, rtn is the reference formula") }
/* clang-format on */

/* Lists the components codes, @scales and input_scale. */
gboolean fp8_list_components (const QconvLayer *layer, QconvDType codes, const QconvComponent *scales,
                              QconvComponents *out, GError **error);
/* The row "dtype" of the tables of schemes for both formats */
/* clang-format off */
#define FP8_DTYPE                                                                        \
  { .name = "dtype", .type = QCONV_CHOICE, .value = "e4m3",                              \
    .choices = (const char *const[]) { "e4m3", "e5m2", NULL },                           \
    .help = N_ ("number format of the codes"), .flags = QCONV_OPTION_PARAMETER }
/* clang-format on */

/* Decodes a tile. @scales: name of the component; @high, @wide: rows and columns that share a scale */
gboolean fp8_decode (const QconvTile *t, const char *scales, guint64 high, guint64 wide, GError **error);
/* Fails with QCONV_ERROR_NON_FINITE if a code is Inf or NaN, a scale is negative, Inf or NaN, or input_scale is not
   positive. @scales: name of the component */
gboolean fp8_validate (const QconvTile *t, const char *scales, GError **error);
gboolean fp8_is_rtn (const QconvLayer *layer);

/* Returns the worst relative squared error if @n weights share a scale. A normal number is off by at most 1/17 of
   itself in E4M3 and 1/9 in E5M2, a smaller one by at most half a step. A searched scale may be twice as large. */
double fp8_bound (QconvDType codes, guint64 n);
