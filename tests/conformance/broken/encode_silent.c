/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A hook of the run fails without an error. broken.sh says what a user then sees. */
#include "qconv-plugin.h"

#define BROKEN broken_encode_silent

static gboolean
encode_silently (const QconvQuantizer *self, const QconvTile *t, GError **error)
{
  return FALSE;
}

#define BROKEN_ENCODE encode_silently
#include "broken.h"
