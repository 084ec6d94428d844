/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The writer of plain weights. Core casts and the container lays the file out, so the writer only adds metadata. */
#include "plain.h"

#include "output-metadata.h"

static gboolean
end_plain (const QconvWriter *self, QconvOutput *o, GError **error)
{
  qconv_output_inherit_metadata (o);
  return TRUE;
}

static const QconvTarget targets[] = {
  { .name = "copy", .summary = N_ ("Every tensor as it is, whatever it encodes; shards become one file") },
  { .name = "bf16", .summary = N_ ("Floats as BF16"), .scheme = "plain", .dtype = QCONV_BF16 },
  { .name = "f16", .summary = N_ ("Floats as F16"), .scheme = "plain", .dtype = QCONV_F16 },
  { .name = "f32", .summary = N_ ("Floats as F32"), .scheme = "plain", .dtype = QCONV_F32 },
  { 0 },
};

const QconvWriter qconv_safetensors_writer = {
  .id = "safetensors",
  .summary = N_ ("Plain weights in a safetensors file"),
  .container = "safetensors",
  .suffix = ".safetensors",
  .targets = targets,
  .end = end_plain,
};
