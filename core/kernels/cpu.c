/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Chooses the level of the instruction set and provides the backend "cpu" to the registry and to streams. */
#include "kernels/kernels.h"

#include <stdlib.h>
#include <string.h>

#if defined(__x86_64__)
#include <cpuid.h>
#endif

/* meson.build lists the levels once and defines FOR_EACH_LEVEL(X) as "X(scalar) X(avx2) …" */
#define DECLARE_OPS(level) extern const QconvOp qconv_plain_ops_##level[], qconv_ggml_ops_##level[];
FOR_EACH_LEVEL (DECLARE_OPS)

static gboolean
scalar_supported (void)
{
  return TRUE;
}

#if defined(__x86_64__)
static gboolean
avx2_supported (void)
{
  guint a, b, c, d;

  return __builtin_cpu_supports ("avx2") && __get_cpuid (1, &a, &b, &c, &d) && (c & bit_F16C) != 0
         && (c & bit_FMA) != 0;
}

static gboolean
avx512_supported (void)
{
  return avx2_supported () && __builtin_cpu_supports ("avx512f") && __builtin_cpu_supports ("avx512bw")
         && __builtin_cpu_supports ("avx512vl") && __builtin_cpu_supports ("avx512dq");
}
#elif defined(__aarch64__)
#define neon_supported scalar_supported /* every 64-bit ARM processor has it */
#endif

const QconvOp *
qconv_kernel_join_ops (const QconvOp *first, const QconvOp *second)
{
  GArray *all = g_array_new (TRUE, TRUE, sizeof (QconvOp));

  for (; first->name != NULL; first++)
    g_array_append_vals (all, first, 1);
  for (; second->name != NULL; second++)
    g_array_append_vals (all, second, 1);
  return (const QconvOp *) g_array_free (all, FALSE);
}

const QconvKernelLevel *
qconv_kernel_levels (void)
{
/* clang-format off */
#define LEVEL_ROW(level) { #level, level##_supported, NULL },
  /* clang-format on */
  static QconvKernelLevel levels[] = { FOR_EACH_LEVEL (LEVEL_ROW) { .name = NULL } };
  static gsize ready;

  if (g_once_init_enter (&ready))
    {
      guint i = 0;

#define JOIN_ROW(level) levels[i++].ops = qconv_kernel_join_ops (qconv_plain_ops_##level, qconv_ggml_ops_##level);
      FOR_EACH_LEVEL (JOIN_ROW)
      g_once_init_leave (&ready, 1);
    }
  return levels;
}

static const QconvKernelLevel *
choose_level (void)
{
  const char *wanted = g_getenv ("QCONV_CPU");
  const QconvKernelLevel *best = qconv_kernel_levels ();

  for (const QconvKernelLevel *l = best; l->name != NULL; l++)
    if (l->supported ())
      {
        best = l;
        if (g_strcmp0 (wanted, l->name) == 0)
          return l;
      }
  if (wanted != NULL && *wanted != '\0')
    g_warning ("QCONV_CPU=%s: this processor has no such level, level %s is used", wanted, best->name);
  return best;
}

const QconvKernelLevel *
qconv_kernel_level_chosen (void)
{
  static gsize chosen;

  if (g_once_init_enter (&chosen))
    g_once_init_leave (&chosen, (gsize) choose_level ());
  return (const QconvKernelLevel *) chosen;
}

static guint
count_devices (GError **error)
{
  return 1;
}

static gpointer
open_device (guint device, guint64 memory_limit, GError **error)
{
  if (device == 0)
    return (gpointer) qconv_kernel_level_chosen ();
  qconv_fail (error, QCONV_ERROR_OPTION, "there is no device %u: the processor is device 0", device);
  return NULL;
}

static void
close_device (gpointer device)
{
}

static char *
describe_device (gpointer device)
{
  return g_strdup_printf ("processor, level %s", qconv_kernel_level_chosen ()->name);
}

static gpointer
alloc_memory (gpointer device, gsize n, GError **error)
{
  gpointer memory = n <= G_MAXSIZE - 64 ? aligned_alloc (64, (MAX (n, 1) + 63) / 64 * 64) : NULL;

  if (memory == NULL)
    qconv_fail (error, QCONV_ERROR_LIMIT, "no memory for %" G_GSIZE_FORMAT " bytes", n);
  return memory;
}

static void
free_memory (gpointer device, gpointer memory)
{
  free (memory);
}

static gpointer
new_stream (gpointer device, GError **error)
{
  return device;
}

static void
free_stream (gpointer device, gpointer stream)
{
}

static gboolean
copy_memory (gpointer device, gpointer stream, gpointer dst, gconstpointer src, gsize n, GError **error)
{
  if (n > 0)
    memcpy (dst, src, n);
  return TRUE;
}

static gboolean
sync_stream (gpointer device, gpointer stream, GError **error)
{
  return TRUE;
}

const QconvBackend *
qconv_backend_cpu (void)
{
  static QconvBackend cpu = { .abi = QCONV_PLUGIN_ABI,
                              .id = "cpu",
                              .summary = "the processor",
                              .n_devices = count_devices,
                              .open = open_device,
                              .close = close_device,
                              .describe = describe_device,
                              .alloc = alloc_memory,
                              .free = free_memory,
                              .alloc_host = alloc_memory,
                              .free_host = free_memory,
                              .stream_new = new_stream,
                              .stream_free = free_stream,
                              .copy_in = copy_memory,
                              .copy_out = copy_memory,
                              .sync = sync_stream };
  static gsize ready;

  if (g_once_init_enter (&ready))
    {
      cpu.ops = qconv_kernel_level_chosen ()->ops;
      g_once_init_leave (&ready, 1);
    }
  return &cpu;
}
