/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* FP8 codes under one scale for the tensor, one for every row, or one for every square tile. */
#pragma once
#include "qconv-plugin.h"

extern const QconvQuantizer fp8_tensor, fp8_row, fp8_block;

/* A row of every table of options */
/* clang-format off */
#define FP8_EFFORT                                                                                  \
  {                                                                                                 \
    .name = "effort", .type = QCONV_CHOICE, .value = "search",                                      \
    .choices = (const char *const[]) { "rtn", "search", NULL },                                      \
    .help = N_ ("how scales are found: search has the smaller error, rtn is the reference formula") \
  }
/* clang-format on */

/* Adds codes, @scales, and input_scale */
gboolean fp8_list_components (const QconvLayer *layer, QconvDType codes, const QconvComponent *scales,
                              QconvComponents *out, GError **error);
/* QCONV_ERROR_NON_FINITE where codes are no numbers, scales negative or none, or input_scale is not positive.
   @scales: name of the component */
gboolean fp8_validate (const QconvTile *t, const char *scales, GError **error);
gboolean fp8_is_rtn (const QconvLayer *layer);

/* The worst relative squared error of rounding to nearest where @n weights share a scale. Normal numbers of E4M3 are
   wrong by up to 1/17 of themselves, of E5M2 by 1/9; weights below the smallest normal number by up to half a step
   each, and none by more than itself. A scale that was searched for is up to twice as large */
double fp8_bound (QconvDType codes, guint64 n);
