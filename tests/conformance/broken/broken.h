/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A plugin that works: a quantizer of one scale a row, a writer into safetensors and the reader of its files. Each file
   of this folder defines BROKEN, puts one broken hook in the place of a working one, and includes this. */
#pragma once
#include <math.h>
#include <string.h>

#include "qconv-plugin.h"

#define BROKEN_TEXT_(x) #x
#define BROKEN_TEXT(x) BROKEN_TEXT_ (x)
/* The id of every feature */
#define BROKEN_ID BROKEN_TEXT (BROKEN)

static inline gboolean
working_components (const QconvQuantizer *self, const QconvLayer *layer, QconvComponents *out, GError **error)
{
  const QconvComponent codes
      = { .name = "codes", .dtype = QCONV_I8, .shape = QCONV_SHAPE2 (layer->rows, layer->cols), .run = QCONV_ROWWISE };
  const QconvComponent scale
      = { .name = "scale", .dtype = QCONV_F32, .shape = QCONV_SHAPE1 (layer->rows), .run = QCONV_ROWWISE };

  qconv_components_add (out, &codes);
  qconv_components_add (out, &scale);
  return TRUE;
}

static inline double
working_bound (const QconvQuantizer *self, const QconvLayer *layer)
{
  return 0.01;
}

static inline gboolean
working_encode (const QconvQuantizer *self, const QconvTile *t, GError **error)
{
  const float *x = qconv_buffer_data (t->floats);
  gint8 *codes = qconv_buffer_data (qconv_tile_component (t, "codes"));
  float *scale = qconv_buffer_data (qconv_tile_component (t, "scale"));
  const guint64 cols = t->layer->cols;

  for (guint64 r = 0; r < t->n_rows; r++)
    {
      float most = 0;

      for (guint64 i = 0; i < cols; i++)
        most = MAX (most, ABS (x[r * cols + i]));
      scale[r] = most / 127;
      for (guint64 i = 0; i < cols; i++)
        codes[r * cols + i] = scale[r] > 0 ? (gint8) CLAMP (rintf (x[r * cols + i] / scale[r]), -127, 127) : 0;
    }
  return TRUE;
}

static inline gboolean
working_decode (const QconvQuantizer *self, const QconvTile *t, GError **error)
{
  const gint8 *codes = qconv_buffer_data (qconv_tile_component (t, "codes"));
  const float *scale = qconv_buffer_data (qconv_tile_component (t, "scale"));
  float *out = qconv_buffer_data (t->floats);

  for (guint64 i = 0; i < t->n_rows * t->layer->cols; i++)
    out[i] = (float) codes[i] * scale[i / t->layer->cols];
  return TRUE;
}

static inline gboolean
working_layer (const QconvWriter *self, QconvOutput *o, const QconvLayer *layer, GError **error)
{
  for (guint i = 0; i < layer->n_components; i++)
    {
      const QconvComponent *c = layer->components[i];
      const QconvPlanned planned = { .dtype = c->dtype, .shape = c->shape, .from = c->name };
      g_autofree char *suffix = g_strconcat (".", c->name, NULL);

      if (!qconv_output_add (o, layer, suffix, &planned, error))
        return FALSE;
    }
  qconv_output_set_metadata (o, BROKEN_ID, "1");
  return TRUE;
}

static inline guint
working_score (const QconvReader *self, const QconvDirectory *d)
{
  return qconv_directory_metadata (d, BROKEN_ID) != NULL ? 100 : 0;
}

static inline gboolean
working_claim (const QconvReader *self, const QconvDirectory *d, const QconvValues *options, QconvClaims *claims,
               GError **error)
{
  for (guint i = 0; i < qconv_directory_n_tensors (d); i++)
    {
      const QconvTensor *codes = qconv_directory_tensor (d, i);
      g_autofree char *name
          = g_str_has_suffix (codes->name, ".codes") ? g_strndup (codes->name, strlen (codes->name) - 6) : NULL;
      const QconvTensor *scale = name != NULL ? qconv_directory_find2 (d, name, ".scale") : NULL;
      QconvClaim *l;

      if (scale == NULL || codes->shape.rank != 2)
        continue;
      l = qconv_claims_layer (claims, name, BROKEN_ID, NULL, codes->shape.dim[0], codes->shape.dim[1], QCONV_F32);
      qconv_claim_bind (l, "codes", NULL, codes, NULL);
      qconv_claim_bind (l, "scale", NULL, scale, NULL);
    }
  qconv_claims_drop_metadata (claims, BROKEN_ID);
  return TRUE;
}

#ifndef BROKEN_COMPONENTS
#define BROKEN_COMPONENTS working_components
#endif
#ifndef BROKEN_BOUND
#define BROKEN_BOUND working_bound
#endif
#ifndef BROKEN_ENCODE
#define BROKEN_ENCODE working_encode
#endif
#ifndef BROKEN_DECODE
#define BROKEN_DECODE working_decode
#endif
#ifndef BROKEN_LAYER
#define BROKEN_LAYER working_layer
#endif
#ifndef BROKEN_SCORE
#define BROKEN_SCORE working_score
#endif
#ifndef BROKEN_CLAIM
#define BROKEN_CLAIM working_claim
#endif
#ifndef BROKEN_SCHEME
#define BROKEN_SCHEME BROKEN_ID
#endif
#ifndef BROKEN_CONTAINER
#define BROKEN_CONTAINER "safetensors"
#define BROKEN_CONTAINERS NULL
#endif

static const QconvEncoder encoder = { .encode = BROKEN_ENCODE };
static const QconvQuantizer quantizer = { .id = BROKEN_SCHEME,
                                          .summary = "one scale a row",
                                          .components = BROKEN_COMPONENTS,
                                          .bound = BROKEN_BOUND,
                                          .encoders = (const QconvEncoder *const[]) { &encoder, NULL },
                                          .decode = BROKEN_DECODE };
static const QconvReader reader
    = { .id = BROKEN_ID, .summary = "codes and scales", .score = BROKEN_SCORE, .claim = BROKEN_CLAIM };
static const QconvTarget targets[]
    = { { .name = BROKEN_SCHEME, .summary = "codes and scales", .scheme = BROKEN_SCHEME }, { NULL } };
static const QconvWriter writer = { .id = BROKEN_ID,
                                    .summary = "codes and scales",
                                    .container = BROKEN_CONTAINER,
                                    .suffix = ".safetensors",
                                    .reader = BROKEN_ID,
                                    .targets = targets,
                                    .layer = BROKEN_LAYER };

/* The macro's argument must be expanded first */
#define BROKEN_DEFINE(name, ...) QCONV_PLUGIN_DEFINE (name, __VA_ARGS__)
BROKEN_DEFINE (BROKEN, .summary = "breaks one promise", .license = "LGPL-2.1-or-later", .containers = BROKEN_CONTAINERS,
               .readers = (const QconvReader *const[]) { &reader, NULL },
               .quantizers = (const QconvQuantizer *const[]) { &quantizer, NULL },
               .writers = (const QconvWriter *const[]) { &writer, NULL })
