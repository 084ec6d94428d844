/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Recognises formats by the names of their tensors, so that the refusal can name them and say what to do. The schemes
   have a colon, which no quantizer has in its id. */
#include "formats.h"

#include <string.h>

#include "quant-config.h"

#define ORIGINAL "take the model that it was made from"

/* @codes, @other: (nullable): the ends of the names of the weight and of another member; @third: (nullable): of one
   more */
static const struct {
  const char *codes, *other, *third, *format;
} members[] = {
  { "_blocks", "_scales", NULL, "gpt-oss-mxfp4" },
  { ".qweight", ".g_idx", NULL, "gptq" },
  { ".qweight", ".qzeros", NULL, "gptq-or-awq" },
  { ".q_weight", NULL, NULL, "exl2" },
  { ".trellis", NULL, NULL, "exl3" },
  { ".W_q", NULL, NULL, "hqq" },
  { "._data", NULL, NULL, "quanto" },
  { ".weight_packed", ".scale_packed", NULL, "marlin-24" },
  { ".weight_packed", NULL, NULL, "compressed-tensors" },
  { ".bitmask", ".compressed", NULL, "sparse-24" },
  { ".B", ".s", NULL, "marlin" },
  { "_qdata", NULL, NULL, "torchao" },
  { ".int_data", NULL, NULL, "torchao" },
  { ".codes", ".codebooks", NULL, "aqlm" },
  { ".Qidxs", NULL, NULL, "quip" },
  { ".weight", ".svd_up", ".svd_down", "sdnq" },
  { ".weight", ".scale", ".zero_point", "sdnq" },
};

/* What to do with a format. @method: (nullable): its "quant_method" in config.json, if that differs */
static const struct {
  const char *format, *method, *advice;
} known[] = {
  { "aqlm", NULL, "its weights are sums of codebook entries; " ORIGINAL },
  { "bitblas", NULL, "its tiles belong to one kernel; take the GPTQ file that it was made from" },
  { "exl2", NULL, "its tiles belong to the kernels of ExLlama; " ORIGINAL },
  { "exl3", NULL, "its trellis belongs to the kernels of ExLlama; " ORIGINAL },
  { "hqq", NULL, ORIGINAL ", or dequantize it with hqq" },
  { "marlin", NULL, "its tiles belong to one kernel; take the GPTQ or AWQ file that it was made from" },
  { "marlin-24", NULL, "its tiles belong to one kernel; " ORIGINAL },
  { "mlx", NULL, ORIGINAL ", or dequantize it with mlx_lm.convert --dequantize" },
  { "quanto", NULL, ORIGINAL ", or dequantize it with optimum-quanto" },
  { "quip", "quip_sharp", "its weights are entries of a lattice; " ORIGINAL },
  { "sdnq", NULL, ORIGINAL ", or dequantize it with sdnq" },
  { "sparse-24", NULL, "its zeros are left out; decompress it with compressed-tensors, or " ORIGINAL },
  { "torchao", NULL, ORIGINAL ", or dequantize it with torchao" },
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

static const char *
format_of (const ScaledGroup *g)
{
  for (guint i = 0; i < G_N_ELEMENTS (members); i++)
    if (g_str_has_suffix (g->codes->name, members[i].codes)
        && (members[i].other == NULL || has_member (g, members[i].other))
        && (members[i].third == NULL || has_member (g, members[i].third)))
      return members[i].format;
  return is_mlx (g) ? "mlx" : NULL;
}

const char *
scaled_stated_format (const QconvDirectory *d)
{
  g_autoptr (QuantConfig) config = quant_config_read (d, NULL, NULL);
  const char *method = quant_config_string (config->object, "quant_method");

  for (guint i = 0; method != NULL && i < G_N_ELEMENTS (known); i++)
    if (g_str_equal (known[i].method != NULL ? known[i].method : known[i].format, method))
      return known[i].format;
  return NULL;
}

char *
scaled_foreign_scheme (const ScaledGroup *g, const char *stated, const char **advice)
{
  const char *found = format_of (g), *format = found != NULL ? found : stated;

  *advice = NULL;
  for (guint i = 0; format != NULL && i < G_N_ELEMENTS (known); i++)
    if (g_str_equal (known[i].format, format))
      *advice = known[i].advice;
  return format != NULL ? g_strconcat ("foreign:", format, NULL) : g_strdup (QCONV_UNKNOWN_SCALED);
}
