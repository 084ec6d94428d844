/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Matrices of w4a8 and w6a8 for the tests of this folder. */
#include "fixture.h"

#include <string.h>

const QconvPlugin *qconv_plugin_w4a8 (void);

const QconvQuantizer *
find_quantizer (const char *scheme)
{
  return driver_quantizer (qconv_plugin_w4a8 (), scheme);
}

Encoded *
new_matrix (const char *scheme, const char *options, QconvDType dtype, guint64 rows, guint64 cols)
{
  return encoded_must_new (find_quantizer (scheme), options, dtype, rows, cols);
}

gboolean
has_six_bits (const Encoded *e)
{
  return strcmp (encoded_layer (e)->scheme, "w6a8") == 0;
}

guint8 *
spread_codes (const Encoded *e)
{
  gsize n = encoded_layer (e)->rows * encoded_layer (e)->cols;
  const guint8 *stored = encoded_data (e, "codes", NULL);
  guint8 *codes = g_malloc (n);

  for (gsize i = 0; i < n; i++)
    codes[i] = has_six_bits (e) ? stored[i] : stored[i / 2] >> i % 2 * 4 & 15;
  return codes;
}
