/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The functions of the CUDA runtime that the backend calls, on memory of the host. */
#include <stdlib.h>
#include <string.h>

#include <map>

#include "cuda_runtime_api.h"

CudaHostDevices cuda_host_devices = { 1, CUDART_VERSION, 90, 1, 1, SIZE_MAX };

struct CudaHostStream {
  int unused;
};

static std::map<void *, size_t> sizes;
static size_t used, n_streams;

size_t
cuda_host_used (void)
{
  return used;
}

size_t
cuda_host_streams (void)
{
  return n_streams;
}

cudaError_t
cudaGetDeviceCount (int *n)
{
  *n = cuda_host_devices.n;
  if (cuda_host_devices.driver < CUDART_VERSION)
    return cudaErrorInsufficientDriver;
  return cuda_host_devices.n == 0 ? cudaErrorNoDevice : cudaSuccess;
}

cudaError_t
cudaDriverGetVersion (int *version)
{
  *version = cuda_host_devices.driver;
  return cudaSuccess;
}

cudaError_t
cudaSetDevice (int ordinal)
{
  return ordinal >= 0 && ordinal < cuda_host_devices.n ? cudaSuccess : cudaErrorInvalidDevice;
}

cudaError_t
cudaDeviceGetAttribute (int *value, enum cudaDeviceAttr attribute, int ordinal)
{
  *value = attribute == cudaDevAttrComputeCapabilityMajor   ? cuda_host_devices.capability / 10
           : attribute == cudaDevAttrComputeCapabilityMinor ? cuda_host_devices.capability % 10
                                                            : cuda_host_devices.pools;
  return cudaSetDevice (ordinal);
}

cudaError_t
cudaGetDeviceProperties (struct cudaDeviceProp *properties, int ordinal)
{
  strcpy (properties->name, "processor");
  return cudaSetDevice (ordinal);
}

cudaError_t
cudaDeviceGetDefaultMemPool (cudaMemPool_t *pool, int ordinal)
{
  *pool = NULL;
  return cudaSetDevice (ordinal);
}

cudaError_t
cudaMemPoolSetAttribute (cudaMemPool_t, enum cudaMemPoolAttr, void *)
{
  return cudaSuccess;
}

cudaError_t
cudaMemPoolTrimTo (cudaMemPool_t, size_t)
{
  return cudaSuccess;
}

/* Allocates just @n bytes, so that a sanitizer finds accesses behind them */
cudaError_t
cudaMalloc (void **memory, size_t n)
{
  if (n > cuda_host_devices.memory - used || posix_memalign (memory, 256, n) != 0)
    return cudaErrorMemoryAllocation;
  memset (*memory, 0xa5, n);
  sizes[*memory] = n;
  used += n;
  return cudaSuccess;
}

cudaError_t
cudaFree (void *memory)
{
  used -= sizes[memory];
  sizes.erase (memory);
  free (memory);
  return cudaSuccess;
}

cudaError_t
cudaMallocAsync (void **memory, size_t n, cudaStream_t)
{
  return cudaMalloc (memory, n);
}

cudaError_t
cudaFreeAsync (void *memory, cudaStream_t)
{
  return cudaFree (memory);
}

cudaError_t
cudaMallocHost (void **memory, size_t n)
{
  *memory = malloc (n);
  return *memory != NULL ? cudaSuccess : cudaErrorMemoryAllocation;
}

cudaError_t
cudaFreeHost (void *memory)
{
  free (memory);
  return cudaSuccess;
}

cudaError_t
cudaStreamCreateWithFlags (cudaStream_t *stream, unsigned int)
{
  *stream = new CudaHostStream ();
  n_streams++;
  return cudaSuccess;
}

cudaError_t
cudaStreamDestroy (cudaStream_t stream)
{
  delete stream;
  n_streams--;
  return cudaSuccess;
}

cudaError_t
cudaStreamSynchronize (cudaStream_t)
{
  return cudaSuccess;
}

cudaError_t
cudaMemcpy (void *dst, const void *src, size_t n, enum cudaMemcpyKind)
{
  memcpy (dst, src, n);
  return cudaSuccess;
}

cudaError_t
cudaMemcpyAsync (void *dst, const void *src, size_t n, enum cudaMemcpyKind, cudaStream_t)
{
  memcpy (dst, src, n);
  return cudaSuccess;
}

cudaError_t
cudaMemsetAsync (void *dst, int byte, size_t n, cudaStream_t)
{
  memset (dst, byte, n);
  return cudaSuccess;
}

cudaError_t
cudaFuncGetAttributes (cudaFuncAttributes *, const void *)
{
  return cuda_host_devices.has_code ? cudaSuccess : cudaErrorNoKernelImageForDevice;
}

cudaError_t
cudaGetLastError (void)
{
  return cudaSuccess;
}

const char *
cudaGetErrorString (cudaError_t error)
{
  return error == cudaErrorMemoryAllocation         ? "out of memory"
         : error == cudaErrorNoKernelImageForDevice ? "no kernel image is available for execution on the device"
                                                    : "unknown error";
}
