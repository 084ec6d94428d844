/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The backend "cuda": devices, their memory and streams. Core calls it through the table at the end. */
#include "cuda-backend.h"

#include "kernels/ggml-grids.h"
#include "kernels/jobs.h"

/* The lowest compute capability that cuda/meson.build compiles for */
#define LEAST_MAJOR 7
#define LEAST_MINOR 5

/**
 * QconvCuda: an opened device.
 *
 * @ordinal: as the runtime counts
 * @own: orders allocations; NULL if the device has no memory pools
 * @limit: bytes that may be allocated; 0: no limit
 * @grids: in memory of the device
 * @sizes: address -> bytes of every allocation, and @used, their sum; under @lock
 */
typedef struct {
  int ordinal;
  cudaStream_t own;
  guint64 limit, used;
  QconvGgmlGrids *grids;
  GHashTable *sizes;
  GMutex lock;
} QconvCuda;

gboolean
qconv_cuda_done (cudaError_t code, const char *what, GError **error)
{
  if (code == cudaSuccess)
    return TRUE;
  return qconv_fail (error, code == cudaErrorMemoryAllocation ? QCONV_ERROR_LIMIT : QCONV_ERROR_DEVICE, "%s: %s", what,
                     cudaGetErrorString (code));
}

/* ---- Devices ---- */

static gboolean
capability_of (int ordinal, int *major, int *minor, GError **error)
{
  cudaError_t code = cudaDeviceGetAttribute (major, cudaDevAttrComputeCapabilityMajor, ordinal);

  if (code == cudaSuccess)
    code = cudaDeviceGetAttribute (minor, cudaDevAttrComputeCapabilityMinor, ordinal);
  return qconv_cuda_done (code, "the device does not answer", error);
}

/* Returns how many devices the driver has, or 0 with @error */
static int
count_all (GError **error)
{
  int n = 0, driver = 0;
  cudaError_t code = cudaGetDeviceCount (&n);

  if (code == cudaErrorNoDevice || (code == cudaSuccess && n == 0))
    return qconv_fail (error, QCONV_ERROR_DEVICE, "there is no CUDA device");
  if (code != cudaErrorInsufficientDriver)
    return qconv_cuda_done (code, "the CUDA driver does not start", error) ? n : 0;
  if (cudaDriverGetVersion (&driver) != cudaSuccess || driver == 0)
    return qconv_fail (error, QCONV_ERROR_DEVICE, "there is no CUDA driver (libcuda.so.1)");
  return qconv_fail (error, QCONV_ERROR_DEVICE, "the driver is for CUDA %d.%d, but this module needs %d.%d or newer",
                     driver / 1000, driver % 1000 / 10, CUDART_VERSION / 1000, CUDART_VERSION % 1000 / 10);
}

/* Returns whether the module has code for a device; a device that is newer than all of it takes its PTX */
static gboolean
is_usable (int ordinal, GError **error)
{
  int major, minor;

  if (!capability_of (ordinal, &major, &minor, error))
    return FALSE;
  if (major * 10 + minor < LEAST_MAJOR * 10 + LEAST_MINOR)
    return qconv_fail (error, QCONV_ERROR_DEVICE,
                       "the device has compute capability %d.%d, but %d.%d or higher is needed", major, minor,
                       LEAST_MAJOR, LEAST_MINOR);
  return TRUE;
}

/* Returns the runtime's number of usable device @device, or -1 */
static int
find_device (guint device, int n)
{
  for (int i = 0; i < n; i++)
    if (is_usable (i, NULL) && device-- == 0)
      return i;
  return -1;
}

static guint
count_devices (GError **error)
{
  int n = count_all (error);
  guint usable = 0;

  for (int i = 0; i < n; i++)
    usable += is_usable (i, NULL) ? 1 : 0;
  if (n > 0 && usable == 0)
    is_usable (0, error);
  return usable;
}

/* ---- Memory ---- */

/* Takes @n bytes of what the limit leaves */
static gboolean
reserve (QconvCuda *cuda, gsize n, GError **error)
{
  guint64 left;

  g_mutex_lock (&cuda->lock);
  left = cuda->limit == 0 ? G_MAXUINT64 - cuda->used : cuda->limit - cuda->used;
  if (n <= left)
    cuda->used += n;
  g_mutex_unlock (&cuda->lock);
  return n <= left
         || qconv_fail (error, QCONV_ERROR_LIMIT,
                        "the device has no memory for %" G_GSIZE_FORMAT " bytes: the limit is %" G_GUINT64_FORMAT, n,
                        cuda->limit);
}

static void
give_back (QconvCuda *cuda, gsize n)
{
  g_mutex_lock (&cuda->lock);
  cuda->used -= n;
  g_mutex_unlock (&cuda->lock);
}

/* Allocates without waiting for other streams, whose work may use the memory at once */
static cudaError_t
take_memory (const QconvCuda *cuda, void **memory, gsize n)
{
  cudaError_t code = cudaSetDevice (cuda->ordinal);

  if (code != cudaSuccess || cuda->own == NULL)
    return code != cudaSuccess ? code : cudaMalloc (memory, n);
  code = cudaMallocAsync (memory, n, cuda->own);
  return code == cudaSuccess ? cudaStreamSynchronize (cuda->own) : code;
}

static gpointer
alloc_memory (gpointer device, gsize n, GError **error)
{
  QconvCuda *cuda = device;
  gsize bytes = MAX (n, 1);
  cudaError_t code;
  void *memory;

  if (!reserve (cuda, bytes, error))
    return NULL;
  code = take_memory (cuda, &memory, bytes);
  if (code != cudaSuccess)
    {
      g_autofree char *what = g_strdup_printf ("no memory for %" G_GSIZE_FORMAT " bytes", bytes);

      cudaGetLastError (); /* a failed allocation is no error of the next kernel */
      give_back (cuda, bytes);
      qconv_cuda_done (code, what, error);
      return NULL;
    }
  g_mutex_lock (&cuda->lock);
  g_hash_table_insert (cuda->sizes, memory, GSIZE_TO_POINTER (bytes));
  g_mutex_unlock (&cuda->lock);
  return memory;
}

/* The work that uses @memory must be done */
static void
free_memory (gpointer device, gpointer memory)
{
  QconvCuda *cuda = device;
  gpointer bytes = NULL;

  if (memory == NULL)
    return;
  g_mutex_lock (&cuda->lock);
  g_hash_table_steal_extended (cuda->sizes, memory, NULL, &bytes);
  g_mutex_unlock (&cuda->lock);
  if (cudaSetDevice (cuda->ordinal) == cudaSuccess && cuda->own != NULL)
    cudaFreeAsync (memory, cuda->own);
  else
    cudaFree (memory);
  give_back (cuda, GPOINTER_TO_SIZE (bytes));
}

static gpointer
alloc_host (gpointer device, gsize n, GError **error)
{
  QconvCuda *cuda = device;
  void *memory;
  cudaError_t code = cudaSetDevice (cuda->ordinal);

  if (code == cudaSuccess)
    code = cudaMallocHost (&memory, MAX (n, 1));
  if (code == cudaSuccess)
    return memory;
  cudaGetLastError ();
  qconv_cuda_done (code, "no pinned memory", error);
  return NULL;
}

static void
free_host (gpointer device, gpointer memory)
{
  QconvCuda *cuda = device;

  if (memory != NULL && cudaSetDevice (cuda->ordinal) == cudaSuccess)
    cudaFreeHost (memory);
}

/* ---- Opening ---- */

static void
close_device (gpointer device)
{
  QconvCuda *cuda = device;
  cudaMemPool_t pool;

  free_memory (cuda, cuda->grids);
  if (cuda->own != NULL && cudaSetDevice (cuda->ordinal) == cudaSuccess)
    {
      cudaStreamSynchronize (cuda->own); /* frees are enqueued */
      cudaStreamDestroy (cuda->own);
      if (cudaDeviceGetDefaultMemPool (&pool, cuda->ordinal) == cudaSuccess)
        cudaMemPoolTrimTo (pool, 0);
    }
  g_hash_table_unref (cuda->sizes);
  g_mutex_clear (&cuda->lock);
  g_free (cuda);
}

/* Lets the driver keep memory that is freed: allocations then do not wait for the device */
static cudaError_t
use_pool (QconvCuda *cuda)
{
  cudaMemPool_t pool;
  guint64 keep = cuda->limit == 0 ? G_MAXUINT64 : cuda->limit;
  int supported = 0;
  cudaError_t code = cudaDeviceGetAttribute (&supported, cudaDevAttrMemoryPoolsSupported, cuda->ordinal);

  if (code != cudaSuccess || !supported)
    return code;
  code = cudaDeviceGetDefaultMemPool (&pool, cuda->ordinal);
  if (code == cudaSuccess)
    code = cudaMemPoolSetAttribute (pool, cudaMemPoolAttrReleaseThreshold, &keep);
  return code == cudaSuccess ? cudaStreamCreateWithFlags (&cuda->own, cudaStreamNonBlocking) : code;
}

static gboolean
load_grids (QconvCuda *cuda, GError **error)
{
  const gsize n = sizeof *cuda->grids;

  cuda->grids = alloc_memory (cuda, n, error);
  return cuda->grids != NULL
         && qconv_cuda_done (cudaMemcpy (cuda->grids, qconv_ggml_grids (), n, cudaMemcpyHostToDevice), "copying failed",
                             error);
}

const QconvGgmlGrids *
qconv_cuda_grids (gpointer device)
{
  return ((const QconvCuda *) device)->grids;
}

static gpointer
open_device (guint device, guint64 memory_limit, GError **error)
{
  int n = count_all (error), ordinal = n > 0 ? find_device (device, n) : 0;
  QconvCuda *cuda;

  if (n == 0)
    return NULL;
  if (ordinal < 0)
    {
      qconv_fail (error, QCONV_ERROR_OPTION, "there is no CUDA device %u", device);
      return NULL;
    }
  if (!qconv_cuda_done (cudaSetDevice (ordinal), "the device does not start", error)
      || !qconv_cuda_done (qconv_cuda_probe (), "this module has no code for the device", error))
    return NULL;
  cuda = g_new0 (QconvCuda, 1);
  cuda->ordinal = ordinal;
  cuda->limit = memory_limit;
  cuda->sizes = g_hash_table_new (NULL, NULL);
  g_mutex_init (&cuda->lock);
  if (qconv_cuda_done (use_pool (cuda), "the device does not start", error) && load_grids (cuda, error))
    return cuda;
  close_device (cuda);
  return NULL;
}

static char *
describe_device (gpointer device)
{
  QconvCuda *cuda = device;
  struct cudaDeviceProp properties;
  int major, minor;

  if (cudaGetDeviceProperties (&properties, cuda->ordinal) != cudaSuccess
      || !capability_of (cuda->ordinal, &major, &minor, NULL))
    return g_strdup ("CUDA device");
  return g_strdup_printf ("%s, compute capability %d.%d", properties.name, major, minor);
}

/* ---- Streams ---- */

static void
free_stream (gpointer device, gpointer stream)
{
  QconvCudaStream *s = stream;

  if (s == NULL)
    return;
  if (s->handle != NULL && cudaSetDevice (s->ordinal) == cudaSuccess)
    cudaStreamDestroy (s->handle);
  free_memory (device, s->scratch);
  g_free (s);
}

static gpointer
new_stream (gpointer device, GError **error)
{
  QconvCuda *cuda = device;
  QconvCudaStream *s = g_new0 (QconvCudaStream, 1);

  s->ordinal = cuda->ordinal;
  s->scratch = alloc_memory (device, QCONV_CUDA_SCRATCH + sizeof *s->bad_group, error);
  if (s->scratch != NULL)
    s->bad_group = (unsigned long long *) (gpointer) ((guint8 *) s->scratch + QCONV_CUDA_SCRATCH);
  if (s->scratch != NULL
      && qconv_cuda_done (cudaStreamCreateWithFlags (&s->handle, cudaStreamNonBlocking), "no stream", error))
    return s;
  free_stream (device, s);
  return NULL;
}

static gboolean
copy (QconvCudaStream *s, gpointer dst, gconstpointer src, gsize n, enum cudaMemcpyKind kind, GError **error)
{
  cudaError_t code = cudaSetDevice (s->ordinal);

  if (code == cudaSuccess && n > 0)
    code = cudaMemcpyAsync (dst, src, n, kind, s->handle);
  return qconv_cuda_done (code, "copying failed", error);
}

static gboolean
copy_in (gpointer device, gpointer stream, gpointer dst, const void *src, gsize n, GError **error)
{
  return copy (stream, dst, src, n, cudaMemcpyHostToDevice, error);
}

static gboolean
copy_out (gpointer device, gpointer stream, void *dst, gconstpointer src, gsize n, GError **error)
{
  return copy (stream, dst, src, n, cudaMemcpyDeviceToHost, error);
}

static gboolean
sync_stream (gpointer device, gpointer stream, GError **error)
{
  QconvCudaStream *s = stream;
  const QconvGptqJob job = { .groups = s->n_groups };
  unsigned long long bad = G_MAXUINT64;
  cudaError_t code = cudaSuccess, waited;

  if (job.groups > 0)
    code = cudaMemcpyAsync (&bad, s->bad_group, sizeof bad, cudaMemcpyDeviceToHost, s->handle);
  waited = cudaStreamSynchronize (s->handle);
  s->n_groups = 0;
  if (!qconv_cuda_done (code != cudaSuccess ? code : waited, "the device failed", error))
    return FALSE;
  return bad == G_MAXUINT64 || qconv_job_gptq_no_group (&job, (gsize) (bad >> 32), (gint32) (bad & G_MAXUINT32), error);
}

/* The only symbol of the module. Each core thread has a stream; devices are shared */
__attribute__ ((visibility ("default"))) const QconvBackend *qconv_backend_cuda (void);

const QconvBackend *
qconv_backend_cuda (void)
{
  static const QconvBackend cuda = { .abi = QCONV_PLUGIN_ABI,
                                     .id = "cuda",
                                     .summary = "NVIDIA graphics processors",
                                     .ops = qconv_cuda_ops,
                                     .n_devices = count_devices,
                                     .open = open_device,
                                     .close = close_device,
                                     .describe = describe_device,
                                     .alloc = alloc_memory,
                                     .free = free_memory,
                                     .alloc_host = alloc_host,
                                     .free_host = free_host,
                                     .stream_new = new_stream,
                                     .stream_free = free_stream,
                                     .copy_in = copy_in,
                                     .copy_out = copy_out,
                                     .sync = sync_stream };

  return &cuda;
}
