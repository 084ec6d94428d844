/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The bound of a scheme is no number. broken.sh says what a user then sees. */
#include <math.h>

#include "qconv-plugin.h"

#define BROKEN broken_bound_nan

static double
no_bound (const QconvQuantizer *self, const QconvLayer *layer)
{
  return (double) NAN;
}

#define BROKEN_BOUND no_bound
#include "broken.h"
