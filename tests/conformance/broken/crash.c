/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A decoder that ends its process. qconv-plugin-check must name the rows and go on behind them: broken.sh. */
#include <stdlib.h>

#include "qconv-plugin.h"

#define BROKEN broken_crash

static gboolean
decode_and_die (const QconvQuantizer *self, const QconvTile *t, GError **error)
{
  abort ();
}

#define BROKEN_DECODE decode_and_die
#include "broken.h"
