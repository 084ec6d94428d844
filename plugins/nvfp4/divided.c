/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The scheme nvfp4_divided, which only decodes: NVFP4 whose tensor scale divides the block scales, as
   compressed-tensors stores it (nvfp4-pack-quantized: weight_global_scale). And the encoder of nvfp4 that takes it over
   with the reciprocal of the scale, as vLLM does when it loads such files. Quotient and product differ in the last bit
   for some block scales. */
#include <math.h>
#include <string.h>

#include "nvfp4.h"
#include "quantizer-checks.h"

/* Reciprocals in this range keep all values but zero normal numbers: block scales reach from
   2^-9 to 448, codes from 0.5 to 6. */
#define LEAST 0x1p-116f
#define MOST 0x1p116f

static gboolean
list_components (const QconvQuantizer *self, const QconvLayer *layer, QconvComponents *out, GError **error)
{
  return qconv_check_matrix (layer, error) && (nvfp4_add_components (layer, out), TRUE);
}

static gboolean
decode (const QconvQuantizer *self, const QconvTile *t, GError **error)
{
  return nvfp4_decode (t, "nvfp4-decode-divided", error);
}

static gboolean
validate (const QconvQuantizer *self, const QconvTile *t, GError **error)
{
  return nvfp4_check_block_scales (qconv_tile_component (t, "block_scale"), error)
         && qconv_check_numbers (t, "tensor_scale", QCONV_SIGN_POSITIVE, error);
}

const QconvQuantizer nvfp4_divided = {
  .id = "nvfp4_divided",
  .summary = N_ ("NVFP4 whose F32 scale divides; qconv only decodes it"),
  .components = list_components,
  .decode_operations = (const QconvOpName[]) { { "nvfp4-decode-divided", 1 }, { NULL, 0 } },
  .decode = decode,
  .validate = validate,
};

/* ---- Into nvfp4 ---- */

static void
plan_finish (const QconvQuantizer *self, const QconvLayer *layer, QconvWork *work)
{
  work->n_passes = 1;
}

static gboolean
finish (const QconvQuantizer *self, const QconvTile *t, guint pass, gconstpointer partials, gsize n, gboolean *exact,
        GError **error)
{
  float divisor = *(const float *) qconv_buffer_data (qconv_tile_source (t, "tensor_scale")), scale = 1.0f / divisor;

  *exact = scale >= LEAST && scale <= MOST;
  if (*exact)
    *(float *) qconv_buffer_data (qconv_tile_component (t, "tensor_scale")) = scale;
  return TRUE;
}

static gboolean
copy_components (const QconvQuantizer *self, const QconvTile *t, GError **error)
{
  static const char *const names[] = { "codes", "block_scale" };

  for (guint i = 0; i < G_N_ELEMENTS (names); i++)
    {
      QconvBuffer *from = qconv_tile_source (t, names[i]), *to = qconv_tile_component (t, names[i]);

      memcpy (qconv_buffer_data (to), qconv_buffer_data (from), qconv_buffer_size (to));
    }
  return nvfp4_check_block_scales (qconv_tile_component (t, "block_scale"), error);
}

const QconvEncoder nvfp4_from_divided = {
  .from = "nvfp4_divided",
  .work = plan_finish,
  .finish = finish,
  .encode = copy_components,
  .bound = 0x1p-44, /* each value is rounded twice instead of once: 2^-22 of itself at most */
};
