/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The writer: plans the tensors of a layer as bitsandbytes stores them (nn/modules.py Linear4bit, functional.py
   QuantState.as_dict). */
#include <string.h>

#include "bnb.h"
#include "output-metadata.h"

/* Room for the end of a nested layer's text: the offset, at most 24 characters, and a brace */
#define TAIL 25

/* Packs codes as one array without gaps. If their number is odd, the last half byte is the code of zero, as in
   bitsandbytes. */
static gboolean
pack_codes (const QconvPack *pack, GError **error)
{
  guint64 cols = pack->layer->cols, row_bytes = cols / 2 + cols % 2, n = pack->n_rows * cols;
  const guint8 *src = pack->src;

  if (cols % 2 == 0)
    {
      for (guint64 i = 0; i < n / 2; i++)
        pack->dst[i] = (guint8) (src[i] << 4 | src[i] >> 4);
      return TRUE;
    }
  for (guint64 row = 0, at = 0; row < pack->n_rows; row++)
    for (guint64 col = 0; col < cols; col++, at++)
      {
        guint8 code = src[row * row_bytes + col / 2] >> (col % 2 * 4) & 15;

        pack->dst[at / 2] = (guint8) (pack->dst[at / 2] | code << (at % 2 == 0 ? 4 : 0));
      }
  if (n % 2 != 0 && g_str_equal (pack->layer->scheme, "nf4"))
    pack->dst[n / 2] |= 7;
  return TRUE;
}

static gboolean
pack_state (const QconvPack *pack, GError **error)
{
  const float *offset = qconv_pack_component (pack, "nested_offset");
  char number[BNB_NUMBER_SIZE];
  gsize n;
  gconstpointer text = g_bytes_get_data (pack->data, &n);

  bnb_print_number (number, (double) *offset);
  memset (pack->dst, ' ', pack->n_dst);
  memcpy (pack->dst, text, n);
  memcpy (pack->dst + n, number, strlen (number));
  pack->dst[n + strlen (number)] = '}';
  return TRUE;
}

static gboolean
write_state (QconvOutput *o, const QconvLayer *layer, gboolean nested, GError **error)
{
  g_autofree char *head = bnb_state_text (layer, nested), *text = g_strconcat (head, nested ? "" : "}", NULL);
  g_autofree char *suffix = g_strconcat (".weight.quant_state.bitsandbytes__", layer->scheme, NULL);
  g_autoptr (GBytes) bytes = g_bytes_new (text, strlen (text));
  QconvPlanned planned = { .dtype = QCONV_U8,
                           .shape = QCONV_SHAPE1 (strlen (text) + (nested ? TAIL : 0)),
                           .data = bytes,
                           .pack = nested ? pack_state : NULL,
                           .load = nested ? bnb_load_offset : NULL };

  return qconv_output_add (o, layer, suffix, &planned, error);
}

static gboolean
write_codes (QconvOutput *o, const QconvLayer *layer, GError **error)
{
  guint64 n = layer->rows * layer->cols;
  QconvPlanned planned
      = { .dtype = QCONV_U8,
          .shape = QCONV_SHAPE2 (n / 2 + n % 2, 1),
          .from = "codes",
          .pack = pack_codes,
          .run = layer->cols % 2 == 0 ? (QconvRun) { 1, layer->cols / 2 } : (QconvRun) { 2, layer->cols },
          .load = bnb_load_codes_high };

  return qconv_output_add (o, layer, ".weight", &planned, error);
}

/* Plans an 8-bit layer. Format 0 means plain rows (nn/modules.py Linear8bitLt). */
static gboolean
write_int8 (QconvOutput *o, const QconvLayer *layer, GError **error)
{
  static const guint8 by_rows = 0;
  g_autoptr (GBytes) format = g_bytes_new_static (&by_rows, sizeof by_rows);
  const QconvPlanned codes = { .dtype = QCONV_I8, .shape = QCONV_SHAPE2 (layer->rows, layer->cols), .from = "codes" };
  const QconvPlanned scale = { .dtype = QCONV_F32, .shape = QCONV_SHAPE1 (layer->rows), .from = "row_scale" };
  const QconvPlanned mark = { .dtype = QCONV_U8, .shape = QCONV_SHAPE0, .data = format };

  return qconv_output_add (o, layer, ".weight", &codes, error) && qconv_output_add (o, layer, ".SCB", &scale, error)
         && qconv_output_add (o, layer, ".weight_format", &mark, error);
}

static gboolean
write_layer (const QconvWriter *self, QconvOutput *o, const QconvLayer *layer, GError **error)
{
  static const char *const tensors[][2] = { { ".weight.absmax", "absmax" },
                                            { ".weight.quant_map", "codebook" },
                                            { ".weight.nested_absmax", "nested_absmax" },
                                            { ".weight.nested_quant_map", "nested_map" } };

  if (g_str_equal (layer->scheme, "bnb_int8"))
    return write_int8 (o, layer, error);
  if (!g_str_equal (layer->scheme, "nf4") && !g_str_equal (layer->scheme, "fp4"))
    return qconv_fail (error, QCONV_ERROR_UNSUPPORTED, "%s: bitsandbytes does not load the scheme %s", layer->name,
                       layer->scheme);
  if (!write_codes (o, layer, error))
    return FALSE;
  for (guint i = 0; i < G_N_ELEMENTS (tensors); i++)
    {
      const QconvComponent *c = qconv_layer_component (layer, tensors[i][1]);
      QconvPlanned planned = { .from = tensors[i][1] };

      if (c == NULL)
        continue;
      planned.dtype = c->dtype;
      planned.shape = c->shape;
      if (!qconv_output_add (o, layer, tensors[i][0], &planned, error))
        return FALSE;
    }
  return write_state (o, layer, qconv_layer_component (layer, "nested_offset") != NULL, error);
}

static gboolean
end (const QconvWriter *self, QconvOutput *o, GError **error)
{
  qconv_output_inherit_metadata (o);
  return TRUE;
}

static const QconvTarget targets[] = {
  { .name = "nf4", .summary = N_ ("NF4, 4.5 bits a weight; 4.13 with double-quant"), .scheme = "nf4" },
  { .name = "fp4", .summary = N_ ("bitsandbytes' FP4, as large as NF4 and less exact"), .scheme = "fp4" },
  { .name = NULL },
};

const QconvWriter bnb_writer = {
  .id = "bnb",
  .summary = N_ ("4-bit layers that bitsandbytes loads"),
  .container = "safetensors",
  .suffix = ".safetensors",
  .reader = "bnb",
  .targets = targets,
  .layer = write_layer,
  .end = end,
};
