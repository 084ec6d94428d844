/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tests steps of subspace iteration on a device: the bytes of the processor, for thin matrices that come in several
   pieces, and for columns without numbers. */
#include <gmodule.h>
#include <string.h>

#include "base/buffer.h"
#include "kernels/device.h"
#include "qconv-lowrank.h"

static const QconvBackend *backend;

/* Up to 16 pseudo-random directions, weaker and weaker */
static void
fill_matrix (float *matrix, guint rows, guint cols)
{
  GRand *rand = g_rand_new_with_seed (7);

  for (guint k = 0; k < 16; k++)
    {
      g_autofree float *right = g_new (float, cols);

      for (guint j = 0; j < cols; j++)
        right[j] = (float) g_rand_double_range (rand, -1, 1) / (float) (k + 1);
      for (guint i = 0; i < rows; i++)
        {
          float left = (float) g_rand_double_range (rand, -1, 1);

          for (guint j = 0; j < cols; j++)
            matrix[(gsize) i * cols + j] += left * right[j];
        }
    }
  g_rand_free (rand);
}

/* Runs two steps from a basis of zeros where @s works */
static void
run_steps (QconvStream *s, QconvBuffer *matrix, const QconvLowRank *l)
{
  g_autoptr (GError) error = NULL;

  for (guint i = 0; i < 2; i++)
    {
      qconv_low_rank_step (s, matrix, l, &error);
      g_assert_no_error (error);
    }
}

/* Runs the steps on the device, with copies of @matrix and @l, and leaves their results in @l */
static void
run_on_device (QconvBuffer *matrix, const QconvLowRank *l)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (Device) d = qconv_device_open (backend, 0, 0, &error);
  DeviceTask *t = qconv_device_begin (d, &error);
  QconvLowRank there = *l;
  QconvBuffer *on_device = qconv_device_mirror (t, matrix, TRUE, &error);

  there.up = qconv_device_mirror (t, l->up, FALSE, &error);
  there.down = qconv_device_mirror (t, l->down, TRUE, &error);
  there.scratch = qconv_device_scratch (t, l->scratch->size, &error);
  run_steps (qconv_device_stream (t), on_device, &there);
  qconv_device_wrote (t, l->up);
  qconv_device_wrote (t, l->down);
  g_assert_true (qconv_device_fetch (t, NULL, &error));
  qconv_device_end (t);
}

static void
assert_same_steps (guint rows, guint cols, guint width)
{
  const gsize n = (gsize) rows * cols, up_n = (gsize) rows * width, down_n = (gsize) cols * width;
  const gsize scratch_n = (gsize) qconv_low_rank_scratch (rows, cols, width);
  g_autofree float *items = g_new0 (float, n), *ups = g_new0 (float, 2 * up_n), *downs = g_new0 (float, 2 * down_n);
  g_autofree guint64 *memory = g_malloc (scratch_n);
  QconvBuffer matrix = QCONV_BUFFER (items, n * 4, QCONV_F32), scratch = QCONV_BUFFER (memory, scratch_n, QCONV_U8);
  QconvBuffer up = QCONV_BUFFER (ups, up_n * 4, QCONV_F32), down = QCONV_BUFFER (downs, down_n * 4, QCONV_F32);
  QconvBuffer more_up = QCONV_BUFFER (ups + up_n, up_n * 4, QCONV_F32);
  QconvBuffer more_down = QCONV_BUFFER (downs + down_n, down_n * 4, QCONV_F32);

  fill_matrix (items, rows, cols);
  run_steps (qconv_stream_cpu (), &matrix, &(QconvLowRank) { rows, cols, width, &up, &down, &scratch });
  run_on_device (&matrix, &(QconvLowRank) { rows, cols, width, &more_up, &more_down, &scratch });
  g_assert_cmpmem (ups, up_n * 4, ups + up_n, up_n * 4);
  g_assert_cmpmem (downs, down_n * 4, downs + down_n, down_n * 4);
}

/* Tests shapes whose factors are one piece, several pieces, and wider than the matrix has directions; the last one has
   Gram matrices of several pieces */
static void
test_steps (void)
{
  static const guint shapes[][3]
      = { { 40, 70, 12 }, { 3000, 64, 24 }, { 64, 3000, 24 }, { 1100, 90, 64 }, { 600, 200, 190 } };

  for (guint i = 0; i < G_N_ELEMENTS (shapes); i++)
    assert_same_steps (shapes[i][0], shapes[i][1], shapes[i][2]);
}

int
main (int argc, char **argv)
{
  const QconvBackend *(*get) (void) = NULL;
  GModule *module;

  g_test_init (&argc, &argv, NULL);
  module = g_module_open (argv[1], G_MODULE_BIND_LOCAL);
  g_assert_true (module != NULL && g_module_symbol (module, "qconv_backend_fake", (gpointer *) &get));
  g_module_make_resident (module); /* what it allocated is not lost */
  backend = get ();
  g_test_add_func ("/device/low-rank", test_steps);
  return g_test_run ();
}
