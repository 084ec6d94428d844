/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Calls the hooks of plugins and judges what they return. All of core that asks a plugin comes here. */
#include "layer/hooks.h"

#include <math.h>

#include "base/error.h"
#include "layer/hook-place.h"
#include "qconv.h"

static gboolean
has_feature (gconstpointer const *features, gconstpointer feature)
{
  for (guint i = 0; features != NULL && features[i] != NULL; i++)
    if (features[i] == feature)
      return TRUE;
  return FALSE;
}

/* Returns the name of the plugin that brought @feature; NULL if no loaded module did */
static const char *
find_plugin (gconstpointer feature)
{
  const GPtrArray *modules = qconv_registry_modules ();

  for (guint i = 0; i < modules->len; i++)
    {
      const QconvPlugin *p = ((const QconvModule *) g_ptr_array_index (modules, i))->plugin;

      if (p != NULL
          && (has_feature ((gconstpointer const *) p->containers, feature)
              || has_feature ((gconstpointer const *) p->readers, feature)
              || has_feature ((gconstpointer const *) p->quantizers, feature)
              || has_feature ((gconstpointer const *) p->writers, feature)))
        return p->name;
    }
  return NULL;
}

gboolean
qconv_hook_broke (const Hook *hook, GError **error, const char *format, ...)
{
  const char *plugin = find_plugin (hook->feature);
  g_autofree char *fault = NULL;
  va_list args;

  va_start (args, format);
  fault = g_strdup_vprintf (format, args);
  va_end (args);
  qconv_fail (error, QCONV_ERROR_BUG, "plugin %s: %s() of %s \"%s\" %s", plugin != NULL ? plugin : "?", hook->name,
              hook->kind, hook->feature != NULL ? *(const char *const *) hook->feature : "?", fault);
  if (hook->layer != NULL)
    qconv_error_name_layer (error, hook->layer);
  return FALSE;
}

/* Hands @own, the error of a hook that returned @ok, to @error, and returns @ok. Records a bug if the two contradict
   each other */
static gboolean
judge (gboolean ok, GError **own, const Hook *hook, GError **error)
{
  if (ok && *own != NULL)
    {
      qconv_hook_broke (hook, error, "returned TRUE, but set an error: %s", (*own)->message);
      g_clear_error (own);
      return FALSE;
    }
  if (!ok && *own == NULL)
    return qconv_hook_broke (hook, error, "returned FALSE, but set no error");
  if (!ok)
    g_propagate_error (error, g_steal_pointer (own));
  return ok;
}

/* Fails if the hook, which succeeded, wrote beyond a buffer of @arena */
static gboolean
check_guards (const Arena *arena, const Hook *hook, GError **error)
{
  return arena_intact (arena) || qconv_hook_broke (hook, error, "wrote beyond a buffer");
}

/* Ends a hook that got @tile: judges what it returned, then looks at all buffers that it could write */
static gboolean
end_tile (gboolean ok, GError **own, const Tile *tile, const Hook *hook, GError **error)
{
  return judge (ok, own, hook, error) && check_guards (tile->arena, hook, error)
         && (tile->kept == NULL || check_guards (tile->kept, hook, error));
}

/* ---- Containers ---- */

gboolean
qconv_call_open (const QconvContainer *c, QconvSource *source, const QconvValues *options, QconvDirectory *directory,
                 GError **error)
{
  GError *own = NULL;
  gboolean ok = c->open (c, source, options, directory, &own);

  return judge (ok, &own, &(Hook) { "container", c, "open", NULL }, error);
}

gboolean
qconv_call_lay_out (const QconvContainer *c, Layout *l, GError **error)
{
  GError *own = NULL;
  gboolean ok = c->lay_out (c, l->planned, l->tensors, l->n, l->header, &l->file_size, &own);

  return judge (ok, &own, &(Hook) { "container", c, "lay_out", NULL }, error);
}

gboolean
qconv_call_part_metadata (const QconvContainer *c, const QconvDirectory *whole, guint no, guint n, QconvDirectory *part,
                          GError **error)
{
  GError *own = NULL;
  gboolean ok = c->split->part_metadata (whole, no, n, part, &own);

  return judge (ok, &own, &(Hook) { "container", c, "part_metadata", NULL }, error);
}

gboolean
qconv_call_index (const QconvContainer *c, const QconvDirectory *whole, const char *const *parts, GByteArray *text,
                  GError **error)
{
  GError *own = NULL;
  gboolean ok = c->split->index (whole, parts, text, &own);

  return judge (ok, &own, &(Hook) { "container", c, "index", NULL }, error);
}

gboolean
qconv_call_complete (const QconvContainer *c, const Layout *l, QconvFile *file, GError **error)
{
  GError *own = NULL;
  gboolean ok = c->complete (c, l->planned, (const QconvTensor *const *) l->tensors, l->n, file, &own);

  return judge (ok, &own, &(Hook) { "container", c, "complete", NULL }, error);
}

/* ---- Readers ---- */

gboolean
qconv_call_claim (const QconvReader *r, const QconvDirectory *d, const QconvValues *options, QconvClaims *claims,
                  GError **error)
{
  GError *own = NULL;
  gboolean ok = r->claim (r, d, options, claims, &own);

  return judge (ok, &own, &(Hook) { "reader", r, "claim", NULL }, error);
}

gboolean
qconv_call_load (const QconvReader *reader, QconvLoadFunc f, const QconvLoad *load, const Arena *arena, GError **error)
{
  const Hook hook = { "reader", reader, "load", NULL };
  GError *own = NULL;
  gboolean ok = f (load, &own);

  return judge (ok, &own, &hook, error) && check_guards (arena, &hook, error);
}

/* ---- Quantizers ---- */

gboolean
qconv_call_components (const QconvQuantizer *q, const QconvLayer *layer, QconvComponents *out, GError **error)
{
  GError *own = NULL;
  gboolean ok = q->components (q, layer, out, &own);

  return judge (ok, &own, &(Hook) { "quantizer", q, "components", layer->name }, error);
}

/* Fails unless @bound, which @hook returned, is a finite number, at least 0 */
static gboolean
check_bound (double bound, const Hook *hook, GError **error)
{
  return (isfinite (bound) && bound >= 0) || qconv_hook_broke (hook, error, "returned %g", bound);
}

gboolean
qconv_call_bound (const QconvQuantizer *q, const QconvLayer *layer, double *bound, GError **error)
{
  *bound = q->bound (q, layer);
  return check_bound (*bound, &(Hook) { "quantizer", q, "bound", layer->name }, error);
}

gboolean
qconv_call_stack (const QconvQuantizer *q, const Tile *tile, const QconvStackPart *parts, guint n, GError **error)
{
  const Hook hook = { "quantizer", q, "stack", NULL };
  GError *own = NULL;
  gboolean ok = q->stack (q, &tile->pub, parts, n, &own);

  return end_tile (ok, &own, tile, &hook, error);
}

gboolean
qconv_call_stack_bound (const QconvQuantizer *q, const QconvLayer *layer, double *bound, GError **error)
{
  *bound = q->stack_bound != NULL ? q->stack_bound (q, layer) : 0;
  return check_bound (*bound, &(Hook) { "quantizer", q, "stack_bound", layer->name }, error);
}

gboolean
qconv_call_accumulate (const Pass *pass, const Tile *tile, QconvBuffer *partial, GError **error)
{
  const Hook hook = { "quantizer", pass->quantizer, "accumulate", NULL };
  const HookBuffers use = { .operations = pass->encoder->operations, .partial = partial };
  GError *own = NULL;
  Tile placed = *tile;
  gboolean ok;

  if (!qconv_hook_place (&placed, &use, error))
    return FALSE;
  ok = pass->encoder->accumulate (pass->quantizer, &placed.pub, pass->number, qconv_hook_partial (&placed, &use), &own);
  return end_tile (ok, &own, tile, &hook, error) && qconv_hook_collect (&placed, tile, &use, error);
}

gboolean
qconv_call_finish (const Pass *pass, const Tile *tile, gconstpointer partials, gsize n, gboolean *exact, GError **error)
{
  const Hook hook = { "quantizer", pass->quantizer, "finish", NULL };
  GError *own = NULL;
  gboolean ok = pass->encoder->finish (pass->quantizer, &tile->pub, pass->number, partials, n, exact, &own);

  return end_tile (ok, &own, tile, &hook, error);
}

gboolean
qconv_call_encode (const QconvQuantizer *q, const QconvEncoder *e, const Tile *tile, GError **error)
{
  const Hook hook = { "quantizer", q, "encode", NULL };
  const HookBuffers use = { .operations = e->operations, .fills_components = TRUE };
  GError *own = NULL;
  Tile placed = *tile;
  gboolean ok;

  if (!qconv_hook_place (&placed, &use, error))
    return FALSE;
  ok = e->encode (q, &placed.pub, &own);
  return end_tile (ok, &own, tile, &hook, error) && qconv_hook_collect (&placed, tile, &use, error);
}

gboolean
qconv_call_decode (const QconvQuantizer *q, const Tile *tile, GError **error)
{
  const Hook hook = { "quantizer", q, "decode", NULL };
  const HookBuffers use = { .operations = q->decode_operations, .fills_floats = TRUE };
  GError *own = NULL;
  Tile placed = *tile;
  gboolean ok;

  if (!qconv_hook_place (&placed, &use, error))
    return FALSE;
  ok = q->decode (q, &placed.pub, &own);
  return end_tile (ok, &own, tile, &hook, error) && qconv_hook_collect (&placed, tile, &use, error);
}

gboolean
qconv_call_validate (const QconvQuantizer *q, const Tile *tile, GError **error)
{
  const Hook hook = { "quantizer", q, "validate", NULL };
  GError *own = NULL;
  gboolean ok = q->validate == NULL || q->validate (q, &tile->pub, &own);

  return end_tile (ok, &own, tile, &hook, error);
}

guint
qconv_n_findings (const QconvQuantizer *q)
{
  guint n = 0;

  while (q != NULL && q->findings != NULL && q->findings[n].code != NULL)
    n++;
  return n;
}

gboolean
qconv_call_examine (const QconvQuantizer *q, const Tile *tile, guint64 *counts, GError **error)
{
  const Hook hook = { "quantizer", q, "examine", NULL };
  GError *own = NULL;

  if (qconv_n_findings (q) > 0)
    q->examine (q, &tile->pub, counts);
  return end_tile (TRUE, &own, tile, &hook, error);
}

/* ---- Writers ---- */

gboolean
qconv_call_layer (const QconvWriter *w, QconvOutput *o, const QconvLayer *layer, GError **error)
{
  GError *own = NULL;
  gboolean ok = w->layer (w, o, layer, &own);

  return judge (ok, &own, &(Hook) { "writer", w, "layer", layer->name }, error);
}

gboolean
qconv_call_keep (const QconvWriter *w, QconvOutput *o, const QconvLayer *tensor, GError **error)
{
  GError *own = NULL;
  gboolean ok = w->keep (w, o, tensor, &own);

  return judge (ok, &own, &(Hook) { "writer", w, "keep", tensor->name }, error);
}

gboolean
qconv_call_end (const QconvWriter *w, QconvOutput *o, GError **error)
{
  GError *own = NULL;
  gboolean ok = w->end == NULL || w->end (w, o, &own);

  return judge (ok, &own, &(Hook) { "writer", w, "end", NULL }, error);
}

gboolean
qconv_call_pack (const QconvWriter *w, QconvPackFunc f, const QconvPack *pack, const Arena *arena, GError **error)
{
  const Hook hook = { "writer", w, "pack", NULL };
  GError *own = NULL;
  gboolean ok = f (pack, &own);

  return judge (ok, &own, &hook, error) && check_guards (arena, &hook, error);
}
