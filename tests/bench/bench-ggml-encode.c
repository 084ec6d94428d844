/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Measures how fast the block types of ggml are encoded, in megabytes of F32 weights per second of one core, and
   their error.
   bench-ggml-encode [LEVEL [TYPE]] measures one level or one type. If QCONV_BENCH_GGML names a shared library of ggml
   (ggml-base, compiled for plain x86-64), its ggml_quantize_chunk() runs beside: columns then tell its speed, and how
   many of the blocks differ from its own. */
#include <gmodule.h>
#include <math.h>
#include <string.h>
#include <time.h>

#include "kernels/kernels.h"
#include "kernels/stream.h"

enum { ROWS = 96, COLS = 4096, N = ROWS * COLS, ROUNDS = 3 };

typedef struct {
  const char *name;
  int number; /* of ggml */
  gsize bytes, items;
} Type;

static const Type types[] = {
  { "q8_0", 8, 34, 32 },          { "q4_0", 2, 18, 32 },          { "q4_1", 3, 20, 32 },    { "q5_0", 6, 22, 32 },
  { "q5_1", 7, 24, 32 },          { "q2_k", 10, 84, 256 },        { "q3_k", 11, 110, 256 }, { "q4_k", 12, 144, 256 },
  { "q5_k", 13, 176, 256 },       { "q6_k", 14, 210, 256 },       { "iq4_nl", 20, 18, 32 }, { "iq4_xs", 23, 136, 256 },
  { "mxfp4_blocks", 39, 17, 32 }, { "nvfp4_blocks", 40, 36, 64 }, { "tq1_0", 34, 54, 256 }, { "tq2_0", 35, 66, 256 },
};

typedef size_t Quantize (int type, const float *src, void *dst, gint64 start, gint64 n_rows, gint64 n_per_row,
                         const float *importance);

/* @theirs: (nullable): ggml's function; @importance: (nullable) */
typedef struct {
  const Type *type;
  const QconvKernelLevel *level;
  Quantize *theirs;
  float *x, *y, *importance;
  guint8 *blocks, *other;
} Bench;

static const QconvOp *
find_op (const Bench *b, const char *verb)
{
  g_autofree char *name = g_strconcat (b->type->name, verb, NULL);

  for (const QconvOp *op = b->level->ops; op->name != NULL; op++)
    if (strcmp (op->name, name) == 0)
      return op;
  g_error ("level %s has no operation %s", b->level->name, name);
}

static void
encode (const Bench *b, gboolean search)
{
  QconvBuffer src = QCONV_BUFFER (b->x, N * sizeof (float), QCONV_F32);
  QconvBuffer dst = QCONV_BUFFER (b->blocks, N / b->type->items * b->type->bytes, QCONV_OPAQUE);
  QconvBuffer importance = QCONV_BUFFER (b->importance, COLS * sizeof (float), QCONV_F32);
  const QconvArg args[] = { QCONV_BUF (&src), QCONV_BUF (&dst), QCONV_BUF (b->importance != NULL ? &importance : NULL),
                            QCONV_I (ROWS),   QCONV_I (COLS),   QCONV_I (search) };
  g_autoptr (GError) error = NULL;

  if (!find_op (b, "-encode")->run (NULL, NULL, args, &error))
    g_error ("%s: %s", b->type->name, error->message);
}

/* Returns the relative squared error of @blocks */
static double
error_of (const Bench *b, const guint8 *blocks)
{
  QconvBuffer src = QCONV_BUFFER (blocks, N / b->type->items * b->type->bytes, QCONV_OPAQUE);
  QconvBuffer dst = QCONV_BUFFER (b->y, N * sizeof (float), QCONV_F32);
  const QconvArg args[] = { QCONV_BUF (&src), QCONV_BUF (&dst), QCONV_I (N / b->type->items) };
  double error = 0, all = 0;

  find_op (b, "-decode")->run (NULL, NULL, args, NULL);
  for (gsize i = 0; i < N; i++)
    {
      double w = b->importance != NULL ? (double) b->importance[i % COLS] : 1, d = (double) b->x[i] - (double) b->y[i];

      error += w * d * d;
      all += w * (double) b->x[i] * (double) b->x[i];
    }
  return error / all;
}

typedef enum { RTN, SEARCH, THEIRS, COPY } Way;

/* Returns megabytes of weights per second of the processor's time, the best of some rounds */
static double
rate (const Bench *b, Way way)
{
  double best = 0;

  for (guint i = 0; i < ROUNDS; i++)
    {
      clock_t start = clock ();
      double taken;

      if (way == COPY)
        memcpy (b->y, b->x, N * sizeof (float));
      else if (way == THEIRS)
        b->theirs (b->type->number, b->x, b->other, 0, ROWS, COLS, b->importance);
      else
        encode (b, way == SEARCH);
      taken = (double) (clock () - start) / CLOCKS_PER_SEC;
      best = MAX (best, N * sizeof (float) / 1e6 / MAX (taken, 1e-6));
    }
  return best;
}

static void
measure (const Bench *b)
{
  double copy = rate (b, COPY), theirs = b->theirs != NULL ? rate (b, THEIRS) : NAN, rtn = rate (b, RTN);
  gsize size = N / b->type->items * b->type->bytes, different = 0;
  double search, rtn_error = error_of (b, b->blocks);

  for (gsize at = 0; at < size && b->theirs != NULL; at += b->type->bytes)
    different += memcmp (b->blocks + at, b->other + at, b->type->bytes) != 0;
  search = rate (b, SEARCH);
  g_print ("%-7s %-13s %7.0f %8.4f %7.0f %7.2f %9" G_GSIZE_FORMAT " %7.0f %8.4f %9.4g %9.4g\n", b->level->name,
           b->type->name, rtn, rtn / copy, theirs, rtn / theirs, different, search, search / copy, rtn_error,
           error_of (b, b->blocks));
}

/* Returns a uniform number above 0 and at most 1 */
static double
uniform (GRand *rand)
{
  return 1 - g_rand_double (rand);
}

static double
normal (GRand *rand)
{
  return sqrt (-2 * log (uniform (rand))) * cos (2 * G_PI * uniform (rand));
}

/* Fills the weights with a distribution: normal, Laplace, Student's t with five degrees of freedom, or normal with a
   few columns twenty times larger */
static void
fill (float *x, guint kind)
{
  g_autoptr (GRand) rand = g_rand_new_with_seed (1 + kind);

  for (gsize i = 0; i < N; i++)
    {
      double v = normal (rand), squares = 0;

      if (kind == 1)
        v = log (uniform (rand)) * (g_rand_boolean (rand) ? 1 : -1);
      for (guint k = 0; k < 5 && kind == 2; k++)
        squares += pow (normal (rand), 2);
      if (kind == 2)
        v /= sqrt (squares / 5);
      if (kind == 3 && i % COLS % 97 == 5)
        v *= 20;
      x[i] = (float) v;
    }
}

int
main (int argc, char **argv)
{
  static const char *const kinds[] = { "normal", "laplace", "t5", "outliers", "normal, importance" };
  const char *path = g_getenv ("QCONV_BENCH_GGML");
  GModule *library = path != NULL ? g_module_open (path, G_MODULE_BIND_LAZY) : NULL;
  gpointer theirs = NULL;
  Bench b = { .x = g_new (float, N), .y = g_new (float, N), .blocks = g_malloc (N * 2), .other = g_malloc (N * 2) };
  float *importance = g_new (float, COLS);

  if (library != NULL && !g_module_symbol (library, "ggml_quantize_chunk", &theirs))
    g_error ("%s: %s", path, g_module_error ());
  b.theirs = (Quantize *) theirs;
  for (gsize i = 0; i < COLS; i++)
    importance[i] = expf (sinf ((float) i * 0.7f) * 2);
  for (guint kind = 0; kind < G_N_ELEMENTS (kinds); kind++)
    {
      fill (b.x, kind % 4);
      b.importance = kind == 4 ? importance : NULL;
      g_print ("\n%s\n%-7s %-13s %7s %8s %7s %7s %9s %7s %8s %9s %9s\n", kinds[kind], "level", "type", "rtn MB/s",
               "/memcpy", "ggml", "rtn/ggml", "different", "search", "/memcpy", "rtn error", "searched");
      for (b.level = qconv_kernel_levels (); b.level->name != NULL; b.level++)
        for (b.type = types; b.type < types + G_N_ELEMENTS (types); b.type++)
          if (b.level->supported () && (argc < 2 || strcmp (argv[1], b.level->name) == 0)
              && (argc < 3 || strcmp (argv[2], b.type->name) == 0))
            measure (&b);
    }
  g_free (b.x);
  g_free (b.y);
  g_free (b.blocks);
  g_free (b.other);
  g_free (importance);
  if (library != NULL)
    g_module_close (library);
  return 0;
}
