/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Drives one quantizer on a matrix in memory as core does, for the tests of quantizers. */
#include "quantizer-driver.h"

#include <string.h>

#include "crew.h"
#include "layer/layer.h"
#include "layer/tile.h"
#include "registry/values.h"

/* @whole: the data of all components, each in memory of its own; @n_threads: of encode(); @stream: their tasks */
struct _Encoded {
  const QconvQuantizer *quantizer;
  Layer *layer;
  Components *whole;
  guint n_threads;
  QconvStream stream;
};

/* Memory of one call of the quantizer. @view: the whole-layer components of the matrix, and copies of the rows'
   shares */
typedef struct {
  const Encoded *e;
  Components view;
  Arena arena;
} Share;

const QconvQuantizer *
driver_quantizer (const QconvPlugin *plugin, const char *id)
{
  for (const QconvQuantizer *const *q = plugin->quantizers; *q != NULL; q++)
    if (strcmp ((*q)->id, id) == 0)
      return *q;
  g_error ("plugin %s has no quantizer %s", plugin->name, id);
}

void
encoded_use_threads (Encoded *e, guint n)
{
  e->n_threads = n;
  e->stream = crew_stream (n);
}

Encoded *
encoded_new (const QconvQuantizer *q, const char *options, QconvDType dtype, guint64 rows, guint64 cols, GError **error)
{
  g_autoptr (Encoded) e = g_new0 (Encoded, 1);
  QconvValues *values = qconv_values_new (q->options);

  e->quantizer = q;
  encoded_use_threads (e, 1);
  e->layer = qconv_layer_new ("matrix", &(Encoding) { q->id, q, values }, dtype, rows, cols);
  if (!qconv_values_parse (values, options, error))
    return NULL;
  qconv_layer_settle (e->layer);
  if (!qconv_layer_ask_components (e->layer, error))
    return NULL;
  e->whole = qconv_components_new (e->layer);
  for (guint i = 0; i < e->layer->pub.n_components; i++)
    {
      const QconvComponent *c = e->layer->pub.components[i];
      guint64 n = 0;

      g_assert_true (qconv_shape_bytes (&c->shape, c->dtype, &n));
      e->whole->buffers[i] = QCONV_BUFFER (g_malloc0 (MAX (n, 1)), n, c->dtype);
    }
  return g_steal_pointer (&e);
}

void
encoded_free (Encoded *e)
{
  for (guint i = 0; e->whole != NULL && i < e->layer->pub.n_components; i++)
    g_free (e->whole->buffers[i].data);
  g_clear_pointer (&e->whole, qconv_components_free);
  qconv_layer_unref (e->layer);
  g_free (e);
}

const QconvLayer *
encoded_layer (const Encoded *e)
{
  return &e->layer->pub;
}

gpointer
encoded_data (const Encoded *e, const char *name, gsize *size)
{
  gint i = qconv_layer_component_index (&e->layer->pub, name);

  if (i < 0)
    return NULL;
  if (size != NULL)
    *size = e->whole->buffers[i].size;
  return e->whole->buffers[i].data;
}

void
encoded_drop (Encoded *e, const char *name)
{
  gint i = qconv_layer_component_index (&e->layer->pub, name);
  guint n = e->layer->pub.n_components;

  g_assert_cmpint (i, >=, 0);
  g_assert_true (e->layer->pub.components[i]->flags & QCONV_COMPONENT_OPTIONAL);
  g_free (e->whole->buffers[i].data);
  memmove (e->whole->buffers + i, e->whole->buffers + i + 1, (n - (guint) i - 1) * sizeof *e->whole->buffers);
  qconv_layer_drop_component (e->layer, name);
}

/* ---- Tiles ---- */

/* Copies the share of rows [first, first + n) out of the matrix, or back with @store */
static void
move_share (Share *s, guint i, guint64 first, guint64 n, gboolean store)
{
  const QconvComponent *c = s->e->layer->pub.components[i];
  guint64 item, n_items;
  guint8 *whole;
  gsize size;

  qconv_component_share (&s->e->layer->pub, c, first, n, &item, &n_items);
  size = (gsize) n_items * qconv_component_stride (c);
  whole = s->e->whole->buffers[i].data + item * qconv_component_stride (c);
  if (store)
    memcpy (whole, s->view.buffers[i].data, size);
  else
    s->view.buffers[i] = QCONV_BUFFER (memcpy (g_malloc (MAX (size, 1)), whole, size), size, c->dtype);
}

/* Begins a call. @n: 0: whole-layer components only, as passes have them; @scratch: bytes that the call may take */
static Share
share_begin (const Encoded *e, guint64 first, guint64 n, gsize scratch)
{
  guint n_components = e->layer->pub.n_components;
  Share s = { .e = e };

  s.view = *e->whole;
  s.view.buffers = g_memdup2 (e->whole->buffers, n_components * sizeof *e->whole->buffers);
  for (guint i = 0; i < n_components; i++)
    if (e->layer->pub.components[i]->run.rows > 0)
      {
        s.view.buffers[i].data = NULL;
        if (n > 0)
          move_share (&s, i, first, n, FALSE);
      }
  s.arena.size = arena_round (scratch + TILE_SLACK);
  s.arena.base = g_aligned_alloc (s.arena.size, 1, ARENA_ALIGN);
  memset (s.arena.base, 0xa5, s.arena.size);
  return s;
}

static void
share_end (Share *s, guint64 first, guint64 n, gboolean store)
{
  for (guint i = 0; s->e != NULL && i < s->e->layer->pub.n_components; i++)
    if (s->e->layer->pub.components[i]->run.rows > 0)
      {
        if (store && n > 0)
          move_share (s, i, first, n, TRUE);
        g_free (s->view.buffers[i].data);
      }
  g_free (s->view.buffers);
  g_aligned_free (s->arena.base);
}

/* Returns a tile. @source: the input of an encoder with "from", else NULL */
static Tile
make_tile (Share *s, const Share *source, guint64 first, guint64 n, QconvBuffer *floats)
{
  return (Tile) {
    .pub = {
      .layer = &s->e->layer->pub,
      .source = source != NULL ? &source->e->layer->pub : NULL,
      .first_row = first,
      .n_rows = n,
      .floats = floats,
      .stream = qconv_stream_cpu (),
      .n_threads = 1,
    },
    .components = &s->view,
    .source = source != NULL ? &source->view : NULL,
    .arena = &s->arena,
  };
}

/* ---- Encoding ---- */

/* The job of one encoder. @weights: NULL if it adopts @source; @source: NULL if it takes weights */
typedef struct {
  Encoded *e;
  const Encoded *source;
  const QconvEncoder *encoder;
  QconvWork work;
  gconstpointer weights;
  guint64 tile_rows;
} Job;

static QconvBuffer
load_floats (const Job *j, guint64 first, guint64 n)
{
  const QconvLayer *l = &j->e->layer->pub;
  gsize stride = (gsize) l->cols * qconv_dtype_bits (l->dtype) / 8, size = (gsize) n * stride;
  QconvBuffer stored
      = QCONV_BUFFER (g_memdup2 ((const guint8 *) j->weights + (gsize) first * stride, size), size, l->dtype);
  QconvBuffer floats;
  g_autoptr (GError) error = NULL;

  if (l->dtype == QCONV_F32 || (j->e->quantizer->float_dtypes & (1u << l->dtype)) != 0)
    return stored;
  size = (gsize) (n * l->cols) * sizeof (float);
  floats = QCONV_BUFFER (g_malloc (size), size, QCONV_F32);
  qconv_stream_run (qconv_stream_cpu (), "convert", 1, (QconvArg[]) { QCONV_BUF (&stored), QCONV_BUF (&floats) }, 2,
                    &error);
  g_assert_no_error (error);
  g_free (stored.data);
  return floats;
}

/* Runs accumulate() of @pass into @partial, or encode() if @partial is NULL */
static gboolean
run_rows (const Job *j, guint64 first, guint64 n, guint pass, QconvBuffer *partial, GError **error)
{
  const QconvQuantizer *q = j->e->quantizer;
  Share made = share_begin (j->e, first, partial != NULL ? 0 : n,
                            j->work.scratch + j->work.scratch_per_thread * j->e->n_threads
                                + j->work.scratch_per_row * (gsize) n);
  Share source = j->source != NULL ? share_begin (j->source, first, n, 0) : (Share) { 0 };
  QconvBuffer floats = j->weights != NULL ? load_floats (j, first, n) : QCONV_BUFFER (NULL, 0, QCONV_F32);
  Tile tile = make_tile (&made, j->source != NULL ? &source : NULL, first, n, j->weights != NULL ? &floats : NULL);
  gboolean ok;

  tile.pub.stream = &j->e->stream;
  tile.pub.n_threads = j->e->n_threads;
  ok = partial != NULL ? j->encoder->accumulate (q, &tile.pub, pass, partial, error)
                       : j->encoder->encode (q, &tile.pub, error);

  share_end (&made, first, n, ok && partial == NULL);
  share_end (&source, first, n, FALSE);
  g_free (floats.data);
  return ok;
}

static gboolean
run_pass (const Job *j, guint pass, gboolean *exact, GError **error)
{
  guint64 rows = j->e->layer->pub.rows, chunk_rows = j->work.chunk_rows;
  gsize n = (gsize) MAX (rows / chunk_rows + (rows % chunk_rows != 0), 1);
  g_autofree guint8 *partials = g_malloc0 (MAX (n * j->work.partial_size, 1));
  Arena none = { 0 };
  Share made, source = { 0 };
  Tile tile;
  gboolean ok;

  for (gsize i = 0; i < n && j->work.partial_size > 0; i++)
    {
      QconvBuffer partial = QCONV_BUFFER (partials + i * j->work.partial_size, j->work.partial_size, QCONV_F32);
      guint64 first = i * chunk_rows, end = MIN (first + chunk_rows, rows), height;

      for (; first < end; first += height)
        {
          height = MIN (j->tile_rows, end - first);
          if (!run_rows (j, first, height, pass, &partial, error))
            return FALSE;
        }
    }
  made = share_begin (j->e, 0, 0, 0);
  if (j->source != NULL)
    source = share_begin (j->source, 0, 0, 0);
  tile = make_tile (&made, j->source != NULL ? &source : NULL, 0, rows, NULL);
  tile.arena = &none;
  ok = j->encoder->finish (j->e->quantizer, &tile.pub, pass, partials, n, exact, error);
  share_end (&made, 0, 0, FALSE);
  share_end (&source, 0, 0, FALSE);
  return ok;
}

static gboolean
run_encoder (Job *j, gboolean *exact, GError **error)
{
  const QconvLayer *l = &j->e->layer->pub;

  if (j->encoder->work != NULL)
    j->encoder->work (j->e->quantizer, l, &j->work);
  if (j->work.chunk_rows == 0)
    j->work.chunk_rows = CHUNK_ROWS (l->cols);
  if (j->tile_rows == 0 || j->work.whole)
    j->tile_rows = l->rows;
  *exact = TRUE;
  for (guint pass = 0; pass < j->work.n_passes && *exact; pass++)
    if (!run_pass (j, pass, exact, error))
      return FALSE;
  for (guint64 first = 0; first < l->rows && *exact; first += j->tile_rows)
    if (!run_rows (j, first, MIN (j->tile_rows, l->rows - first), 0, NULL, error))
      return FALSE;
  return TRUE;
}

gboolean
encoded_encode (Encoded *e, gconstpointer weights, guint64 tile_rows, GError **error)
{
  Job job = { .e = e, .weights = weights, .tile_rows = tile_rows };
  gboolean exact = FALSE, ok = TRUE;

  for (const QconvEncoder *const *encoder = e->quantizer->encoders; *encoder != NULL && ok && !exact; encoder++)
    if ((*encoder)->from == NULL)
      {
        job.encoder = *encoder;
        job.work = (QconvWork) { 0 };
        ok = run_encoder (&job, &exact, error);
      }
  g_assert_true (!ok || exact);
  return ok;
}

gboolean
encoded_adopt (Encoded *e, const Encoded *source, guint64 tile_rows, gboolean *exact, GError **error)
{
  Job job = { .e = e, .source = source, .tile_rows = tile_rows };

  for (const QconvEncoder *const *encoder = e->quantizer->encoders; *encoder != NULL && job.encoder == NULL; encoder++)
    if ((*encoder)->from != NULL && strcmp ((*encoder)->from, source->quantizer->id) == 0)
      job.encoder = *encoder;
  g_assert_nonnull (job.encoder);
  return run_encoder (&job, exact, error);
}

/* ---- Decoding ---- */

gboolean
encoded_decode (const Encoded *e, float *floats, guint64 tile_rows, GError **error)
{
  const QconvLayer *l = &e->layer->pub;
  gboolean ok = TRUE;

  for (guint64 first = 0, n = 0; first < l->rows && ok; first += n)
    {
      gsize size;
      QconvBuffer out;
      Share s;
      Tile tile;

      n = tile_rows == 0 ? l->rows : MIN (tile_rows, l->rows - first);
      size = (gsize) (n * l->cols) * sizeof *floats;
      out = QCONV_BUFFER (g_malloc (size), size, QCONV_F32);
      s = share_begin (e, first, n, size);
      tile = make_tile (&s, NULL, first, n, &out);
      ok = e->quantizer->decode (e->quantizer, &tile.pub, error);
      memcpy (floats + first * l->cols, out.data, ok ? size : 0);
      share_end (&s, first, n, FALSE);
      g_free (out.data);
    }
  return ok;
}

Encoded *
encoded_must_new (const QconvQuantizer *q, const char *options, QconvDType dtype, guint64 rows, guint64 cols)
{
  g_autoptr (GError) error = NULL;
  Encoded *e = encoded_new (q, options, dtype, rows, cols, &error);

  g_assert_no_error (error);
  return e;
}

void
encoded_must_encode (Encoded *e, gconstpointer weights, guint64 tile_rows)
{
  g_autoptr (GError) error = NULL;

  encoded_encode (e, weights, tile_rows, &error);
  g_assert_no_error (error);
}

float *
encoded_must_decode (const Encoded *e, guint64 tile_rows)
{
  const QconvLayer *l = encoded_layer (e);
  g_autoptr (GError) error = NULL;
  float *floats = g_new (float, l->rows * l->cols);

  encoded_decode (e, floats, tile_rows, &error);
  g_assert_no_error (error);
  return floats;
}

gboolean
encoded_validate (const Encoded *e, GError **error)
{
  Share s = share_begin (e, 0, e->layer->pub.rows, 0);
  Tile tile = make_tile (&s, NULL, 0, e->layer->pub.rows, NULL);
  gboolean ok = e->quantizer->validate == NULL || e->quantizer->validate (e->quantizer, &tile.pub, error);

  share_end (&s, 0, e->layer->pub.rows, FALSE);
  return ok;
}

/* ---- Stacking ---- */

/* Copies the items of component @i that rows of the part own. @at: the first row of the part in @e */
static void
copy_part (Encoded *e, guint i, const EncodedPart *p, guint64 at)
{
  const QconvLayer *to = &e->layer->pub, *from = &p->source->layer->pub;
  gsize stride = qconv_component_stride (to->components[i]);
  guint64 step = p->stride == 1 ? p->n : 1;

  for (guint64 row = 0; row < p->n; row += step)
    {
      guint64 item, n, source_item, source_n;

      qconv_component_share (to, to->components[i], at + row, step, &item, &n);
      qconv_component_share (from, from->components[i], p->first + row * p->stride, step, &source_item, &source_n);
      g_assert_cmpuint (n, ==, source_n);
      memcpy (e->whole->buffers[i].data + item * stride, p->source->whole->buffers[i].data + source_item * stride,
              n * stride);
    }
}

static void
call_stack (Encoded *e, const EncodedPart *parts, guint n)
{
  g_autofree Share *shares = g_new (Share, n + 1);
  g_autofree Tile *tiles = g_new (Tile, n + 1);
  g_autofree QconvStackPart *list = g_new (QconvStackPart, n);
  g_autoptr (GError) error = NULL;

  for (guint i = 0; i <= n; i++)
    {
      const Encoded *of = i < n ? parts[i].source : e;

      shares[i] = share_begin (of, 0, 0, 0);
      tiles[i] = make_tile (&shares[i], NULL, 0, of->layer->pub.rows, NULL);
    }
  for (guint i = 0; i < n; i++)
    list[i] = (QconvStackPart) { &tiles[i].pub, parts[i].first, parts[i].stride, parts[i].n };
  e->quantizer->stack (e->quantizer, &tiles[n].pub, list, n, &error);
  g_assert_no_error (error);
  for (guint i = 0; i <= n; i++)
    share_end (&shares[i], 0, 0, FALSE);
}

float *
encoded_must_stack (Encoded *e, const EncodedPart *parts, guint n)
{
  const QconvLayer *l = &e->layer->pub;
  float *want = g_new (float, l->rows * l->cols);
  gboolean by_scheme = FALSE;
  guint64 at = 0;

  for (guint i = 0; i < l->n_components; i++)
    by_scheme |= l->components[i]->run.rows == 0 && (l->components[i]->flags & QCONV_COMPONENT_ANY_ROWS) == 0;
  for (guint k = 0; k < n; at += parts[k++].n)
    {
      g_autofree float *all = encoded_must_decode (parts[k].source, 0);

      for (guint i = 0; i < l->n_components; i++)
        if (l->components[i]->run.rows > 0)
          copy_part (e, i, &parts[k], at);
        else if ((l->components[i]->flags & QCONV_COMPONENT_ANY_ROWS) != 0)
          memcpy (e->whole->buffers[i].data, parts[k].source->whole->buffers[i].data, e->whole->buffers[i].size);
      for (guint64 row = 0; row < parts[k].n; row++)
        memcpy (want + (at + row) * l->cols, all + (parts[k].first + row * parts[k].stride) * l->cols,
                l->cols * sizeof *want);
    }
  g_assert_cmpuint (at, ==, l->rows);
  if (by_scheme)
    call_stack (e, parts, n);
  return want;
}

double
driver_relative_error (QconvDType dtype, gconstpointer reference, const float *other, guint64 rows, guint64 cols)
{
  double sums[2] = { 0.0, 0.0 };
  gsize n = (gsize) (rows * cols);
  QconvBuffer a = QCONV_BUFFER (reference, n * qconv_dtype_bits (dtype) / 8, dtype);
  QconvBuffer b = QCONV_BUFFER (other, n * sizeof *other, QCONV_F32);
  QconvBuffer out = QCONV_BUFFER (sums, sizeof sums, QCONV_F64);
  g_autoptr (GError) error = NULL;

  qconv_stream_run (qconv_stream_cpu (), "squared-error", 1,
                    (QconvArg[]) { QCONV_BUF (&a), QCONV_BUF (&b), QCONV_BUF (&out), QCONV_I (rows), QCONV_I (cols) },
                    5, &error);
  g_assert_no_error (error);
  return sums[1] > 0.0 ? sums[0] / sums[1] : sums[0];
}
