/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Recognises formats by the names of their tensors, so that the refusal can name them. The schemes have a colon, which
   no quantizer has in its id. */
#include "formats.h"

#include <string.h>

/* @codes, @other: (nullable): the ends of the names of the weight and of another member */
static const struct {
  const char *codes, *other, *scheme;
} formats[] = {
  { "_blocks", "_scales", "foreign:gpt-oss-mxfp4" },
  { ".qweight", ".g_idx", "foreign:gptq" },
  { ".qweight", ".qzeros", "foreign:gptq-or-awq" },
  { ".q_weight", NULL, "foreign:exl2" },
  { ".trellis", NULL, "foreign:exl3" },
  { ".W_q", NULL, "foreign:hqq" },
  { "._data", NULL, "foreign:quanto" },
  { ".weight_packed", NULL, "foreign:compressed-tensors" },
  { "_qdata", NULL, "foreign:torchao" },
  { ".codes", ".codebooks", "foreign:aqlm" },
  { ".Qidxs", NULL, "foreign:quip" },
};

static gboolean
has_member (const ScaledGroup *g, const char *end)
{
  for (guint i = 0; i < g->members->len; i++)
    if (g_str_has_suffix (((const QconvTensor *) g_ptr_array_index (g->members, i))->name, end))
      return TRUE;
  return FALSE;
}

/* Returns whether the tensors are those of MLX: words of codes, with "scales" (mlx: nn/layers/quantized.py). */
static gboolean
is_mlx (const ScaledGroup *g)
{
  return (g->codes->dtype == QCONV_U32 || g->codes->dtype == QCONV_I32) && g_str_has_suffix (g->codes->name, ".weight")
         && has_member (g, ".scales");
}

const char *
scaled_foreign_scheme (const ScaledGroup *g)
{
  for (guint i = 0; i < G_N_ELEMENTS (formats); i++)
    if (g_str_has_suffix (g->codes->name, formats[i].codes)
        && (formats[i].other == NULL || has_member (g, formats[i].other)))
      return formats[i].scheme;
  return is_mlx (g) ? "foreign:mlx" : QCONV_UNKNOWN_SCALED;
}
