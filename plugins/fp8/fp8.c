/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The descriptor of the plugin fp8, and the functions that its quantizers share. */
#include "fp8.h"

#include "quantizer-checks.h"

gboolean
fp8_is_rtn (const QconvLayer *layer)
{
  return qconv_effort_is_rtn (layer);
}

gboolean
fp8_list_components (const QconvLayer *layer, QconvDType codes, const QconvComponent *scales, QconvComponents *out,
                     GError **error)
{
  if (!qconv_check_matrix (layer, error))
    return FALSE;
  qconv_components_add (out, &(QconvComponent) { .name = "codes",
                                                 .dtype = codes,
                                                 .shape = QCONV_SHAPE2 (layer->rows, layer->cols),
                                                 .run = QCONV_ROWWISE });
  qconv_components_add (out, scales);
  qconv_components_add (out, &(QconvComponent) { .name = "input_scale",
                                                 .dtype = QCONV_F32,
                                                 .shape = QCONV_SHAPE0,
                                                 .flags = QCONV_COMPONENT_OPTIONAL | QCONV_COMPONENT_GIVEN });
  return TRUE;
}

/* Returns how many codes are Inf or NaN: 0x7f in E4M3, 0x7c and above in E5M2, without their sign. */
static gsize
count_wrong_codes (QconvBuffer *codes)
{
  guint8 least = qconv_buffer_dtype (codes) == QCONV_F8_E4M3 ? 0x7f : 0x7c;
  const guint8 *bytes = qconv_buffer_data (codes);
  gsize n = qconv_buffer_size (codes), wrong = 0;

  for (gsize i = 0; i < n; i++)
    wrong += (bytes[i] & 0x7f) >= least;
  return wrong;
}

gboolean
fp8_decode (const QconvTile *t, const char *scales, guint64 high, guint64 wide, GError **error)
{
  const QconvArg args[] = { QCONV_BUF (qconv_tile_component (t, "codes")),
                            QCONV_BUF (qconv_tile_component (t, scales)),
                            QCONV_BUF (t->floats),
                            QCONV_I (t->n_rows),
                            QCONV_I (t->layer->cols),
                            QCONV_I (high),
                            QCONV_I (wide) };

  return qconv_stream_run (t->stream, "fp8-decode", 1, args, G_N_ELEMENTS (args), error);
}

gboolean
fp8_validate (const QconvTile *t, const char *scales, GError **error)
{
  gsize wrong = count_wrong_codes (qconv_tile_component (t, "codes"));

  if (wrong > 0)
    return qconv_fail (error, QCONV_ERROR_NON_FINITE, "%" G_GSIZE_FORMAT " codes are Inf or NaN", wrong);
  return qconv_check_numbers (t, scales, QCONV_SIGN_NOT_NEGATIVE, error)
         && qconv_check_numbers (t, "input_scale", QCONV_SIGN_POSITIVE, error);
}

double
fp8_bound (QconvDType codes, guint64 n)
{
  gboolean e4m3 = codes == QCONV_F8_E4M3;
  double normal = e4m3 ? 1.0 / 17 : 1.0 / 9, share = e4m3 ? 2 * 0x1p-10 / 448 : 2 * 0x1p-17 / 57344;
  double lost = (double) n * share * share;

  return normal * normal * 1.01 + lost / (1.0 + lost);
}

QCONV_PLUGIN_DEFINE (fp8, .summary = N_ ("FP8 quantizers"), .license = "LGPL-2.1-or-later", .gettext_domain = "qconv",
                     .quantizers
                     = (const QconvQuantizer *const[]) { &fp8_tensor, &fp8_row, &fp8_block, &fp8_group, NULL })
