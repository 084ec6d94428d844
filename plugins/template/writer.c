/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The writer: turns the components of a layer into tensors. It mirrors reader.c, which reads the written file back. */
#include "template.h"

/* Packs the codes of some rows. Core calls it from any thread */
static gboolean
pack_codes (const QconvPack *pack, GError **error)
{
  const guint8 *codes = pack->src;

  for (gsize i = 0; i < pack->n_dst; i++)
    pack->dst[i] = (guint8) (codes[i] + TEMPLATE_CENTRE);
  return TRUE;
}

/* Plans the tensors of one layer. The scale needs no pack function: its bytes are those of the component */
static gboolean
write_layer (const QconvWriter *self, QconvOutput *o, const QconvLayer *layer, GError **error)
{
  const QconvPlanned codes = {
    .dtype = QCONV_U8,
    .shape = QCONV_SHAPE2 (layer->rows, layer->cols),
    .from = "codes",
    .pack = pack_codes,
    .run = { 1, layer->cols },
    .load = template_load_codes,
  };
  const QconvPlanned scale = { .dtype = QCONV_F32, .shape = QCONV_SHAPE0, .from = "scale" };

  return qconv_output_add (o, layer, TEMPLATE_CODES, &codes, error)
         && qconv_output_add (o, layer, TEMPLATE_SCALE, &scale, error);
}

static const QconvTarget targets[] = {
  { .name = "template", .summary = N_ ("the example's scheme in the example's files"), .scheme = "template" },
  { .name = NULL },
};

/* Without keep(), core writes plain tensors as they are */
const QconvWriter template_writer = {
  .id = "template",
  .summary = N_ ("example files"),
  .container = "template",
  .suffix = ".qtml",
  .reader = "template",
  .targets = targets,
  .layer = write_layer,
};
