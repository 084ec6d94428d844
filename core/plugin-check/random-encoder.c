/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Encoders for schemes that a plugin only decodes: they fill the components with numbers that depend on nothing but the
   place. The carrier offers them, so that every decoder has something to decode. */
#include <string.h>

#include "plugin-check/carrier.h"

static const QconvQuantizer *
real_quantizer (const QconvQuantizer *self)
{
  return qconv_registry_quantizer (check_scheme_of (self->id));
}

static gboolean
list_components (const QconvQuantizer *self, const QconvLayer *layer, QconvComponents *out, GError **error)
{
  const QconvQuantizer *real = real_quantizer (self);
  const char *scheme = check_replace_scheme (layer, real->id);
  gboolean ok = real->components (real, layer, out, error);

  check_replace_scheme (layer, scheme);
  return ok;
}

static void
settle (const QconvQuantizer *self, const QconvLayer *layer, QconvValues *values)
{
  const QconvQuantizer *real = real_quantizer (self);
  const char *scheme = check_replace_scheme (layer, real->id);

  real->settle (real, layer, values);
  check_replace_scheme (layer, scheme);
}

/* Whole-layer components are filled in a pass that reads nothing */
static void
work (const QconvQuantizer *self, const QconvLayer *layer, QconvWork *work)
{
  work->n_passes = 1;
}

/* Fills the bytes that begin at @offset of the component. Floats get no exponent of Inf or NaN */
static void
fill (QconvBuffer *b, guint64 offset)
{
  guint8 *bytes = qconv_buffer_data (b);
  QconvDType dtype = qconv_buffer_dtype (b);
  gboolean number
      = qconv_dtype_is_float (dtype) || dtype == QCONV_F8_E4M3 || dtype == QCONV_F8_E5M2 || dtype == QCONV_F8_E8M0;

  for (gsize i = 0; i < qconv_buffer_size (b); i++)
    {
      guint64 x = (offset + i + 1) * G_GUINT64_CONSTANT (0x9e3779b97f4a7c15);

      bytes[i] = (guint8) ((x ^ x >> 29) >> 24) & (number ? 0x3f : 0xff);
    }
}

/* Fills the components that follow rows, or those of the whole layer */
static void
fill_components (const QconvTile *t, gboolean whole)
{
  for (guint i = 0; i < t->layer->n_components; i++)
    {
      const QconvComponent *c = t->layer->components[i];
      QconvBuffer *b = (c->run.rows == 0) == whole ? qconv_tile_component (t, c->name) : NULL;

      if (b != NULL)
        fill (b, whole ? 0 : t->first_row / c->run.rows * c->run.n * check_bytes_of_step (c));
    }
}

static gboolean
finish (const QconvQuantizer *self, const QconvTile *t, guint pass, gconstpointer partials, gsize n, gboolean *exact,
        GError **error)
{
  fill_components (t, TRUE);
  return TRUE;
}

static gboolean
encode (const QconvQuantizer *self, const QconvTile *t, GError **error)
{
  fill_components (t, FALSE);
  return TRUE;
}

static gboolean
decode (const QconvQuantizer *self, const QconvTile *t, GError **error)
{
  const QconvQuantizer *real = real_quantizer (self);

  return real->decode (real, t, error);
}

void
check_random_quantizer (QconvQuantizer *random, const QconvQuantizer *real)
{
  static const QconvEncoder encoder = { .work = work, .finish = finish, .encode = encode };
  static const QconvEncoder *const encoders[] = { &encoder, NULL };

  *random = (QconvQuantizer) { .id = g_strconcat (RANDOM, real->id, NULL),
                               .summary = "components of random numbers",
                               .options = real->options,
                               .float_dtypes = real->float_dtypes,
                               .components = list_components,
                               .settle = real->settle != NULL ? settle : NULL,
                               .encoders = encoders,
                               .decode_operations = real->decode_operations,
                               .decode = decode };
}
