/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Measures how fast the block types of ggml are decoded: bytes written per second, and the ratio to memcpy() of as many
   bytes in the same run. bench-ggml [LEVEL [OPERATION]] measures one level or one row. */
#include <stdlib.h>
#include <string.h>

#include "kernels/kernels.h"
#include "kernels/stream.h"

enum { ROUNDS = 9 };

/* @large: far larger than the caches, as a whole tensor is; @tile: fits the second-level cache */
static const gsize large = 64 << 20, tile = 512 << 10;

static const struct {
  const char *op;
  gsize block_bytes, block_items;
} types[] = {
  { "q4_0-decode", 18, 32 },    { "q4_1-decode", 20, 32 },         { "q5_0-decode", 22, 32 },
  { "q5_1-decode", 24, 32 },    { "q8_0-decode", 34, 32 },         { "q8_1-decode", 36, 32 },
  { "q2_k-decode", 84, 256 },   { "q3_k-decode", 110, 256 },       { "q4_k-decode", 144, 256 },
  { "q5_k-decode", 176, 256 },  { "q6_k-decode", 210, 256 },       { "q8_k-decode", 292, 256 },
  { "iq1_s-decode", 50, 256 },  { "iq1_m-decode", 56, 256 },       { "iq2_xxs-decode", 66, 256 },
  { "iq2_xs-decode", 74, 256 }, { "iq2_s-decode", 82, 256 },       { "iq3_xxs-decode", 98, 256 },
  { "iq3_s-decode", 110, 256 }, { "iq4_nl-decode", 18, 32 },       { "iq4_xs-decode", 136, 256 },
  { "tq1_0-decode", 54, 256 },  { "tq2_0-decode", 66, 256 },       { "q1_0-decode", 18, 128 },
  { "q2_0-decode", 18, 64 },    { "mxfp4_blocks-decode", 17, 32 }, { "nvfp4_blocks-decode", 36, 64 },
};

/* Buffers of @large bytes each; @out gets the decoded or copied bytes */
typedef struct {
  guint8 *blocks, *source, *out;
} Memory;

static int
compare_doubles (const void *a, const void *b)
{
  double x = *(const double *) a, y = *(const double *) b;

  return (x > y) - (x < y);
}

static double
median (double *values)
{
  qsort (values, ROUNDS, sizeof *values, compare_doubles);
  return values[ROUNDS / 2];
}

static void
decode (const Memory *m, const QconvOp *op, gsize out_bytes, gsize row)
{
  gsize n = out_bytes / sizeof (float) / types[row].block_items;
  QconvBuffer src = QCONV_BUFFER (m->blocks, n * types[row].block_bytes, QCONV_OPAQUE);
  QconvBuffer dst = QCONV_BUFFER (m->out, out_bytes, QCONV_F32);
  QconvArg args[] = { QCONV_BUF (&src), QCONV_BUF (&dst), QCONV_I (n) };
  g_autoptr (GError) error = NULL;

  if (!op->run (NULL, NULL, args, &error))
    g_error ("%s: %s", op->name, error->message);
}

/* Returns gigabytes per second of @op or, if that is NULL, of memcpy(), in calls of @out_bytes up to @large in total
 */
static double
rate (const Memory *m, const QconvOp *op, gsize out_bytes, gsize row)
{
  gint64 start = g_get_monotonic_time ();

  for (gsize done = 0; done < large; done += out_bytes)
    if (op != NULL)
      decode (m, op, out_bytes, row);
    else
      memcpy (m->out, m->source, out_bytes);
  return (double) large / (double) (g_get_monotonic_time () - start) / 1e3;
}

static void
measure (const Memory *m, const char *level, const QconvOp *op, gsize row)
{
  double decoded[2][ROUNDS], copied[2][ROUNDS], gb[2], ratio[2];

  for (gsize i = 0; i < ROUNDS; i++)
    for (guint k = 0; k < 2; k++)
      {
        decoded[k][i] = rate (m, op, k == 0 ? large : tile, row);
        copied[k][i] = rate (m, NULL, k == 0 ? large : tile, row);
      }
  for (guint k = 0; k < 2; k++)
    {
      gb[k] = median (decoded[k]);
      ratio[k] = gb[k] / median (copied[k]);
    }
  g_print ("%-8s %-20s %9.1f %8.2f %9.1f %8.2f\n", level, op->name, gb[0], ratio[0], gb[1], ratio[1]);
}

static void
measure_level (const Memory *m, const QconvKernelLevel *level, const char *only)
{
  for (gsize row = 0; row < G_N_ELEMENTS (types); row++)
    for (const QconvOp *op = level->ops; op->name != NULL; op++)
      if (strcmp (op->name, types[row].op) == 0 && (only == NULL || strcmp (op->name, only) == 0))
        measure (m, level->name, op, row);
}

int
main (int argc, char **argv)
{
  Memory m = { g_malloc (large), g_malloc (large), g_malloc (large) };

  for (gsize i = 0; i < large; i++)
    m.blocks[i] = (guint8) (i * 0x9e3779b1u >> 23 & 0xbf); /* no scale is infinite */
  memset (m.source, 1, large);
  memset (m.out, 1, large);
  g_print ("%-8s %-20s %9s %8s %9s %8s\n", "level", "operation", "64M GB/s", "/memcpy", "tile GB/s", "/memcpy");
  for (const QconvKernelLevel *level = qconv_kernel_levels (); level->name != NULL; level++)
    if (level->supported () && (argc < 2 || strcmp (argv[1], level->name) == 0))
      measure_level (&m, level, argc > 2 ? argv[2] : NULL);
  g_free (m.blocks);
  g_free (m.source);
  g_free (m.out);
  return 0;
}
