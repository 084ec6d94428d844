/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tests that every hook is judged: what it returns must agree with its error, and it must stay within its buffers. */
#include "layer/hooks.h"

#include <math.h>
#include <string.h>

#include "toy.h"

/* What all hooks of this test do */
static struct {
  gboolean ok, fails, writes_beyond;
  guint8 *beyond;
  double bound;
} mode;

static gboolean
answer (GError **error)
{
  if (mode.fails)
    qconv_fail (error, QCONV_ERROR_UNSUPPORTED, "no such thing");
  if (mode.writes_beyond)
    *mode.beyond ^= 1;
  return mode.ok;
}

/* ---- The hooks ---- */

static gboolean
do_open (const QconvContainer *self, QconvSource *source, const QconvValues *options, QconvDirectory *directory,
         GError **error)
{
  return answer (error);
}

static gboolean
do_lay_out (const QconvContainer *self, const QconvDirectory *planned, QconvTensor **tensors, guint n,
            GByteArray *header, guint64 *file_size, GError **error)
{
  return answer (error);
}

static gboolean
do_complete (const QconvContainer *self, const QconvDirectory *planned, const QconvTensor *const *tensors, guint n,
             QconvFile *file, GError **error)
{
  return answer (error);
}

static gboolean
do_claim (const QconvReader *self, const QconvDirectory *d, const QconvValues *options, QconvClaims *claims,
          GError **error)
{
  return answer (error);
}

static gboolean
do_load (const QconvLoad *load, GError **error)
{
  return answer (error);
}

static gboolean
do_components (const QconvQuantizer *self, const QconvLayer *layer, QconvComponents *out, GError **error)
{
  return answer (error);
}

static double
do_bound (const QconvQuantizer *self, const QconvLayer *layer)
{
  return mode.bound;
}

static gboolean
do_accumulate (const QconvQuantizer *self, const QconvTile *t, guint pass, QconvBuffer *partial, GError **error)
{
  return answer (error);
}

static gboolean
do_finish (const QconvQuantizer *self, const QconvTile *t, guint pass, gconstpointer partials, gsize n, gboolean *exact,
           GError **error)
{
  return answer (error);
}

static gboolean
do_tile (const QconvQuantizer *self, const QconvTile *t, GError **error)
{
  return answer (error);
}

static gboolean
do_layer (const QconvWriter *self, QconvOutput *o, const QconvLayer *layer, GError **error)
{
  return answer (error);
}

static gboolean
do_end (const QconvWriter *self, QconvOutput *o, GError **error)
{
  return answer (error);
}

static gboolean
do_pack (const QconvPack *pack, GError **error)
{
  return answer (error);
}

static gboolean
do_stack (const QconvQuantizer *self, const QconvTile *t, const QconvStackPart *parts, guint n, GError **error)
{
  return do_tile (self, t, error);
}

static const QconvContainer container = { .id = "c", .open = do_open, .lay_out = do_lay_out, .complete = do_complete };
static const QconvReader reader = { .id = "r", .claim = do_claim };
static const QconvEncoder encoder = { .accumulate = do_accumulate, .finish = do_finish, .encode = do_tile };
static const QconvQuantizer quantizer = { .id = "q",
                                          .components = do_components,
                                          .bound = do_bound,
                                          .decode = do_tile,
                                          .validate = do_tile,
                                          .stack = do_stack,
                                          .stack_bound = do_bound };
static const QconvWriter writer = { .id = "w", .layer = do_layer, .keep = do_layer, .end = do_end };

/* ---- The calls ---- */

static Arena arena, kept;
static Layer *layer;

static Tile
tile (void)
{
  return (Tile) { .pub = { .layer = &layer->pub, .stream = qconv_stream_cpu () }, .arena = &arena, .kept = &kept };
}

static gboolean
call_open (GError **error)
{
  return qconv_call_open (&container, NULL, NULL, NULL, error);
}

static gboolean
call_lay_out (GError **error)
{
  return qconv_call_lay_out (&container, &(Layout) { 0 }, error);
}

static gboolean
call_complete (GError **error)
{
  return qconv_call_complete (&container, &(Layout) { 0 }, NULL, error);
}

static gboolean
call_claim (GError **error)
{
  return qconv_call_claim (&reader, NULL, NULL, NULL, error);
}

static gboolean
call_load (GError **error)
{
  return qconv_call_load (&reader, do_load, &(QconvLoad) { 0 }, &arena, error);
}

static gboolean
call_components (GError **error)
{
  return qconv_call_components (&quantizer, &layer->pub, NULL, error);
}

static gboolean
call_accumulate (GError **error)
{
  Tile t = tile ();

  return qconv_call_accumulate (&(Pass) { &quantizer, &encoder, 0 }, &t, NULL, error);
}

static gboolean
call_finish (GError **error)
{
  gboolean exact;
  Tile t = tile ();

  return qconv_call_finish (&(Pass) { &quantizer, &encoder, 0 }, &t, NULL, 0, &exact, error);
}

static gboolean
call_encode (GError **error)
{
  Tile t = tile ();

  return qconv_call_encode (&quantizer, &encoder, &t, error);
}

static gboolean
call_decode (GError **error)
{
  Tile t = tile ();

  return qconv_call_decode (&quantizer, &t, error);
}

static gboolean
call_validate (GError **error)
{
  Tile t = tile ();

  return qconv_call_validate (&quantizer, &t, error);
}

static gboolean
call_stack (GError **error)
{
  Tile t = tile ();

  return qconv_call_stack (&quantizer, &t, NULL, 0, error);
}

static gboolean
call_layer (GError **error)
{
  return qconv_call_layer (&writer, NULL, &layer->pub, error);
}

static gboolean
call_keep (GError **error)
{
  return qconv_call_keep (&writer, NULL, &layer->pub, error);
}

static gboolean
call_end (GError **error)
{
  return qconv_call_end (&writer, NULL, error);
}

static gboolean
call_pack (GError **error)
{
  return qconv_call_pack (&writer, do_pack, &(QconvPack) { 0 }, &arena, error);
}

/* @layer: its errors begin with the layer; @task, @whole: it writes to the arena of a task, to the layer components */
static const struct {
  const char *name, *feature;
  gboolean (*call) (GError **error);
  gboolean layer, task, whole;
} calls[] = {
  { "open", "container \"c\"", call_open, FALSE, FALSE, FALSE },
  { "lay_out", "container \"c\"", call_lay_out, FALSE, FALSE, FALSE },
  { "complete", "container \"c\"", call_complete, FALSE, FALSE, FALSE },
  { "claim", "reader \"r\"", call_claim, FALSE, FALSE, FALSE },
  { "load", "reader \"r\"", call_load, FALSE, TRUE, FALSE },
  { "components", "quantizer \"q\"", call_components, TRUE, FALSE, FALSE },
  { "accumulate", "quantizer \"q\"", call_accumulate, FALSE, TRUE, TRUE },
  { "finish", "quantizer \"q\"", call_finish, FALSE, TRUE, TRUE },
  { "encode", "quantizer \"q\"", call_encode, FALSE, TRUE, TRUE },
  { "decode", "quantizer \"q\"", call_decode, FALSE, TRUE, TRUE },
  { "validate", "quantizer \"q\"", call_validate, FALSE, TRUE, TRUE },
  { "stack", "quantizer \"q\"", call_stack, FALSE, TRUE, TRUE },
  { "layer", "writer \"w\"", call_layer, TRUE, FALSE, FALSE },
  { "keep", "writer \"w\"", call_keep, TRUE, FALSE, FALSE },
  { "end", "writer \"w\"", call_end, FALSE, FALSE, FALSE },
  { "pack", "writer \"w\"", call_pack, FALSE, TRUE, FALSE },
};

static void
assert_broke (guint i, const char *fault)
{
  g_autofree char *text = g_strdup_printf ("%splugin ?: %s() of %s %s", calls[i].layer ? "layer \"l\": " : "",
                                           calls[i].name, calls[i].feature, fault);
  g_autoptr (GError) error = NULL;

  g_assert_false (calls[i].call (&error));
  toy_assert_error (error, QCONV_ERROR_BUG, text);
}

static void
test_returned (void)
{
  for (guint i = 0; i < G_N_ELEMENTS (calls); i++)
    {
      g_autoptr (GError) error = NULL;

      mode.ok = TRUE;
      mode.fails = FALSE;
      g_assert_true (calls[i].call (&error));
      g_assert_no_error (error);
      mode.fails = TRUE;
      assert_broke (i, "returned TRUE, but set an error: no such thing");
      mode.ok = mode.fails = FALSE;
      assert_broke (i, "returned FALSE, but set no error");
      mode.fails = TRUE;
      g_assert_false (calls[i].call (&error));
      toy_assert_error (error, QCONV_ERROR_UNSUPPORTED, "no such thing");
      g_assert_false (calls[i].call (NULL));
    }
  mode.fails = FALSE;
  mode.ok = TRUE;
}

static void
test_bound (void)
{
  static const double wrong[] = { NAN, INFINITY, -INFINITY, -1e-9 };
  double bound;
  g_autoptr (GError) error = NULL;

  mode.bound = 0.25;
  g_assert_true (qconv_call_bound (&quantizer, &layer->pub, &bound, &error));
  g_assert_cmpfloat (bound, ==, 0.25);
  for (guint i = 0; i < G_N_ELEMENTS (wrong); i++)
    {
      mode.bound = wrong[i];
      g_assert_false (qconv_call_bound (&quantizer, &layer->pub, &bound, &error));
      toy_assert_error (error, QCONV_ERROR_BUG, "layer \"l\": plugin ?: bound() of quantizer \"q\" returned *");
      g_clear_error (&error);
      g_assert_false (qconv_call_stack_bound (&quantizer, &layer->pub, &bound, &error));
      toy_assert_error (error, QCONV_ERROR_BUG, "layer \"l\": plugin ?: stack_bound() of quantizer \"q\" returned *");
      g_clear_error (&error);
    }
  g_assert_true (qconv_call_stack_bound (&(QconvQuantizer) { .id = "without" }, &layer->pub, &bound, &error));
  g_assert_cmpfloat (bound, ==, 0);
}

/* Tests that each byte beside a buffer is guarded, up to the next buffer */
static void
test_guards (void)
{
  guint8 *buffer;

  mode.writes_beyond = TRUE;
  for (guint where = 0; where < 2; where++)
    for (gsize n = 0; n < 130; n += 43)
      {
        Arena *a = where == 0 ? &arena : &kept;

        a->used = 0;
        arena_take (a, 8);
        buffer = arena_take (a, n);
        arena_take (a, 100);
        for (guint i = 0; i < G_N_ELEMENTS (calls); i++)
          {
            mode.beyond = buffer + n;
            if (where == 0 ? calls[i].task : calls[i].whole)
              {
                assert_broke (i, "wrote beyond a buffer");
                *mode.beyond ^= 1;
                mode.beyond = buffer - 1;
                assert_broke (i, "wrote beyond a buffer");
                *mode.beyond ^= 1;
              }
          }
        g_assert_true (arena_intact (a));
        a->used = 0;
      }
  mode.writes_beyond = FALSE;
}

/* Tests lengths whose cost wraps around, and zones whose own numbers were overwritten */
static void
test_hostile (void)
{
  guint8 *buffer;

  for (guint on = 0; on < 2; on++)
    {
      qconv_guard_buffers (on == 1, 0xa5);
      arena.used = 0;
      for (gsize n = 0; n < 300; n += 7)
        g_assert_null (arena_take (&arena, G_MAXSIZE - n));
      g_assert_null (arena_take (&arena, 4097));
      g_assert_cmpuint (arena.used, ==, 0);
    }
  for (guint i = 0; i < 64; i++)
    {
      arena.used = 0;
      buffer = arena_take (&arena, 100);
      buffer[(gint) i - 64] ^= 0x80;
      g_assert_false (arena_intact (&arena));
    }
  arena.used = 0;
}

static void
test_fill (void)
{
  static const guint8 fills[] = { 0xa5, 0x5a };

  for (guint i = 0; i < G_N_ELEMENTS (fills); i++)
    {
      guint8 *buffer;

      qconv_guard_buffers (TRUE, fills[i]);
      arena.used = 0;
      buffer = arena_take (&arena, 3);
      for (guint j = 0; j < 3; j++)
        g_assert_cmpuint (buffer[j], ==, fills[i]);
      g_assert_cmpuint (arena.used, ==, arena_cost (3));
    }
  qconv_guard_buffers (FALSE, 0);
  g_assert_cmpuint (arena_cost (3), ==, ARENA_ALIGN);
  arena.used = 0;
  g_assert_true (arena_take (&arena, 3) == arena.base);
  qconv_guard_buffers (TRUE, 0xa5);
  arena.used = 0;
}

/* Tests that views show what they are asked for, cost one buffer however often they move, and end with their buffer */
static void
test_view (void)
{
  static const struct {
    gsize first, n;
  } beyond[] = { { 0, 65 }, { 64, 1 }, { 65, 0 }, { 8, 57 }, { 8, G_MAXSIZE }, { G_MAXSIZE, 8 } };
  g_autoptr (GError) error = NULL;
  QconvBuffer *of, *view;
  Tile t = tile ();
  gsize used;

  arena.used = 0;
  of = qconv_tile_scratch (&t.pub, 64, &error);
  g_assert_no_error (error);
  view = qconv_tile_view (&t.pub, NULL, of, QCONV_BF16, 8, 56, &error);
  g_assert_no_error (error);
  g_assert_true (qconv_buffer_data (view) == (guint8 *) qconv_buffer_data (of) + 8);
  g_assert_cmpuint (qconv_buffer_size (view), ==, 56);
  g_assert_cmpint (qconv_buffer_dtype (view), ==, QCONV_BF16);
  used = arena.used;
  g_assert_true (qconv_tile_view (&t.pub, view, of, QCONV_F64, 64, 0, &error) == view);
  g_assert_cmpuint (arena.used, ==, used);
  for (guint i = 0; i < G_N_ELEMENTS (beyond); i++)
    {
      g_assert_null (qconv_tile_view (&t.pub, view, of, QCONV_U8, beyond[i].first, beyond[i].n, &error));
      toy_assert_error (error, QCONV_ERROR_BUG, "a view reaches beyond the end of its buffer");
      g_clear_error (&error);
    }
  arena.used = arena.size;
  g_assert_null (qconv_tile_view (&t.pub, NULL, of, QCONV_U8, 0, 8, &error));
  toy_assert_error (error, QCONV_ERROR_BUG, "more scratch memory was asked for than was declared");
  arena.used = 0;
}

int
main (int argc, char **argv)
{
  int rc;

  toy_init (&argc, &argv);
  qconv_guard_buffers (TRUE, 0xa5);
  layer = qconv_layer_new ("l", &(Encoding) { .scheme = "q" }, QCONV_BF16, 4, 4);
  arena = (Arena) { g_aligned_alloc (4096, 1, ARENA_ALIGN), 4096, 0 };
  kept = (Arena) { g_aligned_alloc (4096, 1, ARENA_ALIGN), 4096, 0 };
  g_test_add_func ("/hooks/returned", test_returned);
  g_test_add_func ("/hooks/bound", test_bound);
  g_test_add_func ("/hooks/guards", test_guards);
  g_test_add_func ("/hooks/hostile", test_hostile);
  g_test_add_func ("/hooks/fill", test_fill);
  g_test_add_func ("/hooks/view", test_view);
  rc = g_test_run ();
  g_aligned_free (arena.base);
  g_aligned_free (kept.base);
  qconv_layer_unref (layer);
  return rc;
}
