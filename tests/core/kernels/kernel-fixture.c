/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Runs single operations of one level on generated data, for the tests of the kernels. */
#include "kernel-fixture.h"

#include <math.h>
#include <string.h>

#include "kernel-device.h"
#include "kernels/numbers.h"

const QconvDType kernel_weight_dtypes[3] = { QCONV_F32, QCONV_F16, QCONV_BF16 };

typedef struct {
  const QconvKernelLevel *level;
  void (*test) (const QconvKernelLevel *level);
} LevelTest;

QconvBuffer
kernel_matrix_buffer (const KernelMatrix *m)
{
  return QCONV_BUFFER (m->data, m->rows * m->cols * qconv_dtype_bits (m->dtype) / 8, m->dtype);
}

static gboolean
always (void)
{
  return TRUE;
}

/* The device as a level */
static QconvKernelLevel device_level[] = { { .supported = always }, { .name = NULL } };
/* The levels to test; NULL: those of the processor */
static const QconvKernelLevel *tested;

const QconvKernelLevel *
kernel_tested (void)
{
  return tested != NULL ? tested : qconv_kernel_levels ();
}

void
kernel_test_levels (const QconvKernelLevel *levels)
{
  tested = levels;
}

void
kernel_test_device (const QconvBackend *backend, gpointer device)
{
  tested = device_level;
  kernel_device_begin (backend, device);
  device_level[0].name = backend->id;
  device_level[0].ops = backend->ops;
}

const QconvOp *
kernel_op (const QconvKernelLevel *level, const char *name)
{
  for (const QconvOp *op = level->ops; op->name != NULL; op++)
    if (strcmp (op->name, name) == 0)
      return op;
  if (level == device_level)
    return kernel_op (qconv_kernel_levels (), name);
  g_error ("level %s has no operation %s", level->name, name);
}

gboolean
kernel_try (const QconvKernelLevel *level, const char *op, const QconvArg *args, GError **error)
{
  const QconvOp *found = kernel_op (level, op);

  return level == device_level ? kernel_device_run (found, args, error) : found->run (NULL, NULL, args, error);
}

void
kernel_run (const QconvKernelLevel *level, const char *op, const QconvArg *args, guint n_args)
{
  g_autoptr (GError) error = NULL;

  g_assert_cmpuint (strlen (kernel_op (level, op)->args), ==, n_args);
  kernel_try (level, op, args, &error);
  g_assert_no_error (error);
}

static void
run_level_test (gconstpointer data)
{
  const LevelTest *t = data;
  g_autofree char *reason = g_strdup_printf ("this processor lacks level %s", t->level->name);

  if (t->level->supported ())
    t->test (t->level);
  else
    g_test_skip (reason);
}

void
kernel_add_tests (const char *path, void (*test) (const QconvKernelLevel *level))
{
  for (const QconvKernelLevel *level = kernel_tested (); level->name != NULL; level++)
    {
      g_autofree char *full = g_strdup_printf ("/%s%s", level->name, path);
      LevelTest *t = g_new0 (LevelTest, 1);

      t->level = level;
      t->test = test;
      g_test_add_data_func_full (full, t, run_level_test, g_free);
    }
}

/* SplitMix64 (Steele, Lea, Flood 2014) */
guint32
kernel_random (guint64 *state)
{
  guint64 z = *state += 0x9e3779b97f4a7c15;

  z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
  z = (z ^ z >> 27) * 0x94d049bb133111eb;
  return (guint32) (z >> 32);
}

double
kernel_normal (guint64 *state)
{
  /* Logarithms and cosines are slow under valgrind. The sum of two of a few normal numbers has the same distribution,
     tails included */
  static double normals[1 << 16];
  static gsize ready;

  if (g_once_init_enter (&ready))
    {
      guint64 seed = 1;

      for (gsize i = 0; i < G_N_ELEMENTS (normals); i++)
        {
          double u = (kernel_random (&seed) + 0.5) / 0x1p32, v = (kernel_random (&seed) + 0.5) / 0x1p32;

          normals[i] = sqrt (-2 * log (u)) * cos (2 * G_PI * v);
        }
      g_once_init_leave (&ready, 1);
    }
  return (normals[kernel_random (state) >> 16] + normals[kernel_random (state) >> 16]) * G_SQRT2 / 2;
}

static float
special_weight (guint32 r)
{
  static const guint32 bits[] = { 0,          1,          0x7fffff,   0x800000,   0x33800000, 0x387fc000,
                                  0x38800000, 0x3f800000, 0x477fe000, 0x42c80000, 0x40c00000 };
  guint32 pick = r % (G_N_ELEMENTS (bits) + 2), sign = r & 0x80000000;

  if (pick < G_N_ELEMENTS (bits))
    return f32_of_bits (bits[pick] | sign);
  return f32_of_bits (((r >> 8 & 127) + 64) << 23 | sign);
}

/* Fills a block for a tensor scale of 1 (or any power of two): its largest weight belongs to a number on a step of
   E4M3, between two steps, or a last place away from there */
static void
fill_boundary_block (float *dst, gsize n, guint64 *state)
{
  guint32 code = kernel_random (state) % 126;
  float low = f32_of_e4m3 ((guint8) code), high = f32_of_e4m3 ((guint8) (code + 1));
  float top = 6.0f * (kernel_random (state) % 2 == 0 ? low : (low + high) / 2);
  gint32 nudge = (gint32) (kernel_random (state) % 5) - 2;

  if (top > 0.0f)
    top = f32_of_bits (bits_of_f32 (top) + (guint32) nudge);
  for (gsize i = 0; i < n; i++)
    dst[i] = top * (float) (kernel_random (state) % 4096) / 4096.0f * (kernel_random (state) % 2 == 0 ? 1.0f : -1.0f);
  dst[kernel_random (state) % n] = top;
}

static float
weight_of_kind (KernelKind kind, guint64 *state)
{
  guint32 r = kernel_random (state);

  switch ((int) kind)
    {
    case KERNEL_WIDE:
      return (r & 0x7f800000) == 0x7f800000 ? 1.0f : f32_of_bits (r);
    case KERNEL_SPECIAL:
      return special_weight (r);
    case KERNEL_TIES:
      return (float) ((gint32) (r % 49) - 24) / 4.0f;
    case KERNEL_SPARSE:
      return r % 7 == 0 ? (float) kernel_normal (state) : 0.0f;
    case KERNEL_OUTLIERS:
      return (float) (kernel_normal (state) * (r % 61 == 0 ? 2e4 : 0.02));
    default:
      return (float) (kernel_normal (state) * 0.02);
    }
}

void
kernel_fill (KernelKind kind, float *dst, gsize n, guint64 *state)
{
  for (gsize i = 0; i < n; i += 16)
    {
      gsize run = MIN (n - i, 16);

      if (kind == KERNEL_BOUNDARIES)
        {
          fill_boundary_block (dst + i, run, state);
          continue;
        }
      for (gsize k = 0; k < run; k++)
        dst[i + k] = weight_of_kind (kind, state);
      for (gsize k = 0; k < run && kind == KERNEL_SPARSE && kernel_random (state) % 4 == 0; k++)
        dst[i + k] = dst[i];
    }
}

void *
kernel_narrow (QconvDType dtype, const float *src, gsize n)
{
  guint16 *half = g_new (guint16, n);

  if (dtype == QCONV_F32)
    {
      g_free (half);
      return g_memdup2 (src, n * sizeof *src);
    }
  for (gsize i = 0; i < n; i++)
    {
      half[i] = dtype == QCONV_F16 ? f16_of_f32 (src[i]) : bf16_of_f32 (src[i]);
      if (dtype == QCONV_F16 && (half[i] & 0x7c00) == 0x7c00)
        half[i] = (guint16) ((half[i] & 0x8000) | 0x7bff);
      else if (dtype == QCONV_BF16 && (half[i] & 0x7f80) == 0x7f80)
        half[i] = (guint16) ((half[i] & 0x8000) | 0x7f7f);
    }
  return half;
}

void
kernel_each_tail (guint rows, KernelTail check, gconstpointer data)
{
  enum { MOST_COLS = 70 };
  g_autofree float *wide = g_new (float, rows *MOST_COLS);
  guint64 state = 3;

  for (gsize cols = 1; cols <= MOST_COLS; cols++)
    for (guint d = 0; d < G_N_ELEMENTS (kernel_weight_dtypes); d++)
      {
        QconvDType dtype = kernel_weight_dtypes[d];
        gsize item = qconv_dtype_bits (dtype) / 8, bytes = rows * cols * item;
        g_autofree void *w = NULL;
        g_autofree guint8 *shifted = g_malloc (bytes + item);

        kernel_fill (cols % KERNEL_N_KINDS, wide, rows * cols, &state);
        w = kernel_narrow (dtype, wide, rows * cols);
        memcpy (shifted + item, w, bytes);
        check (dtype, shifted + item, cols, data);
      }
}
