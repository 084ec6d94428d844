/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A hook of the plan fails without an error. broken.sh says what a user then sees. */
#include "qconv-plugin.h"

#define BROKEN broken_layer_silent

static gboolean
plan_silently (const QconvWriter *self, QconvOutput *o, const QconvLayer *layer, GError **error)
{
  return FALSE;
}

#define BROKEN_LAYER plan_silently
#include "broken.h"
