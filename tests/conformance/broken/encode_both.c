/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A hook succeeds and sets an error as well. broken.sh says what a user then sees. */
#include "qconv-plugin.h"

#define BROKEN broken_encode_both

static gboolean encode_both (const QconvQuantizer *self, const QconvTile *t, GError **error);

#define BROKEN_ENCODE encode_both
#include "broken.h"

static gboolean
encode_both (const QconvQuantizer *self, const QconvTile *t, GError **error)
{
  qconv_fail (error, QCONV_ERROR_INPUT, "the codes are in doubt");
  return working_encode (self, t, NULL);
}
