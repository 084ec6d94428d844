/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Probes: copies of a plugin's tables under other ids. Their hooks call the plugin's hook again without a place for an
   error if it fails, and then fail in any case. carrier.c offers them. */
#include <string.h>

#include "plugin-check/carrier.h"

const char *
check_scheme_of (const char *id)
{
  if (g_str_has_prefix (id, RANDOM))
    return id + strlen (RANDOM);
  return g_str_has_prefix (id, PROBE) ? id + strlen (PROBE) : id;
}

static gboolean
done (gboolean ok, GError **error)
{
  return !ok ? FALSE : qconv_fail (error, QCONV_ERROR_UNSUPPORTED, "the probe is done");
}

static guint
no_container (const QconvContainer *self, const char *name, const guint8 *head, gsize n, guint64 size)
{
  return 0;
}

static gboolean
probe_open (const QconvContainer *self, QconvSource *source, const QconvValues *options, QconvDirectory *d,
            GError **error)
{
  const QconvContainer *real = qconv_registry_container (check_scheme_of (self->id));
  gboolean ok = real->open (real, source, options, d, error);

  if (!ok)
    real->open (real, source, options, d, NULL);
  return done (ok, error);
}

void
check_probe_container (QconvContainer *probe, const QconvContainer *real)
{
  static const char *const none[] = { NULL };

  *probe = *real;
  probe->id = g_strconcat (PROBE, real->id, NULL);
  probe->suffixes = none;
  probe->entries = NULL;
  probe->score = no_container;
  probe->open = probe_open;
  probe->lay_out = NULL;
}

static guint
no_reader (const QconvReader *self, const QconvDirectory *d)
{
  return 0;
}

static gboolean
probe_claim (const QconvReader *self, const QconvDirectory *d, const QconvValues *options, QconvClaims *claims,
             GError **error)
{
  const QconvReader *real = qconv_registry_reader (check_scheme_of (self->id));
  gboolean ok = real->claim (real, d, options, claims, error);

  if (!ok)
    real->claim (real, d, options, claims, NULL);
  return done (ok, error);
}

void
check_probe_reader (QconvReader *probe, const QconvReader *real)
{
  *probe = *real;
  probe->id = g_strconcat (PROBE, real->id, NULL);
  probe->score = no_reader;
  probe->claim = probe_claim;
  probe->check = NULL;
}

const char *
check_replace_scheme (const QconvLayer *layer, const char *scheme)
{
  QconvLayer *own = (QconvLayer *) layer;
  const char *before = own->scheme;

  own->scheme = scheme;
  return before;
}

static gboolean
probe_components (const QconvQuantizer *self, const QconvLayer *layer, QconvComponents *out, GError **error)
{
  const QconvQuantizer *real = qconv_registry_quantizer (check_scheme_of (self->id));
  const char *scheme = check_replace_scheme (layer, real->id);
  gboolean ok = real->components (real, layer, out, error);

  if (!ok)
    real->components (real, layer, out, NULL);
  check_replace_scheme (layer, scheme);
  return done (ok, error);
}

static void
probe_settle (const QconvQuantizer *self, const QconvLayer *layer, QconvValues *values)
{
  const QconvQuantizer *real = qconv_registry_quantizer (check_scheme_of (self->id));
  const char *scheme = check_replace_scheme (layer, real->id);

  real->settle (real, layer, values);
  check_replace_scheme (layer, scheme);
}

static gboolean
never_encode (const QconvQuantizer *self, const QconvTile *t, GError **error)
{
  return qconv_fail (error, QCONV_ERROR_UNSUPPORTED, "the probe does not encode");
}

void
check_probe_quantizer (QconvQuantizer *probe, const QconvQuantizer *real)
{
  static const QconvEncoder encoder = { .encode = never_encode };
  static const QconvEncoder *const encoders[] = { &encoder, NULL };

  *probe = (QconvQuantizer) { .id = g_strconcat (PROBE, real->id, NULL),
                              .summary = "hooks without a place for an error",
                              .options = real->options,
                              .components = probe_components,
                              .settle = real->settle != NULL ? probe_settle : NULL,
                              .encoders = encoders };
}
