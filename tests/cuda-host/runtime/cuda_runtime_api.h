/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Stands in for the header of the CUDA runtime, so that the backend runs on the processor: what cuda/ uses of it, and
   no more. Memory of the device is memory of the host, and all work is done before a function returns. */
#pragma once
#include <stddef.h>
#include <stdint.h>

#define CUDART_VERSION 13000

typedef enum {
  cudaSuccess = 0,
  cudaErrorMemoryAllocation = 2,
  cudaErrorInsufficientDriver = 35,
  cudaErrorNoDevice = 100,
  cudaErrorInvalidDevice = 101,
  cudaErrorNoKernelImageForDevice = 209,
} cudaError_t;
enum cudaMemcpyKind { cudaMemcpyHostToDevice = 1, cudaMemcpyDeviceToHost, cudaMemcpyDeviceToDevice };
enum cudaDeviceAttr {
  cudaDevAttrComputeCapabilityMajor = 75,
  cudaDevAttrComputeCapabilityMinor = 76,
  cudaDevAttrMemoryPoolsSupported = 115
};
enum cudaMemPoolAttr { cudaMemPoolAttrReleaseThreshold = 4 };
#define cudaStreamNonBlocking 1u

typedef struct CudaHostStream *cudaStream_t;
typedef struct CudaHostPool *cudaMemPool_t;
typedef struct {
  int unused;
} cudaFuncAttributes;
struct cudaDeviceProp {
  char name[256];
};

#ifdef __cplusplus
extern "C" {
#endif

/**
 * CudaHostDevices: the machine that is played.
 *
 * @n: devices
 * @driver: version, as cudaDriverGetVersion() counts; below CUDART_VERSION it is too old, 0: there is no driver
 * @capability: of all devices, 75 for 7.5
 * @has_code: whether the module has code for them
 * @pools: whether they have memory pools
 * @memory: bytes of each
 */
typedef struct {
  int n, driver, capability, has_code, pools;
  size_t memory;
} CudaHostDevices;
extern CudaHostDevices cuda_host_devices;
/* Returns the number of bytes and of streams that were not given back */
size_t cuda_host_used (void);
size_t cuda_host_streams (void);

cudaError_t cudaGetDeviceCount (int *n);
cudaError_t cudaDriverGetVersion (int *version);
cudaError_t cudaSetDevice (int ordinal);
cudaError_t cudaDeviceGetAttribute (int *value, enum cudaDeviceAttr attribute, int ordinal);
cudaError_t cudaGetDeviceProperties (struct cudaDeviceProp *properties, int ordinal);
cudaError_t cudaDeviceGetDefaultMemPool (cudaMemPool_t *pool, int ordinal);
cudaError_t cudaMemPoolSetAttribute (cudaMemPool_t pool, enum cudaMemPoolAttr attribute, void *value);
cudaError_t cudaMemPoolTrimTo (cudaMemPool_t pool, size_t keep);
cudaError_t cudaMalloc (void **memory, size_t n);
cudaError_t cudaFree (void *memory);
cudaError_t cudaMallocAsync (void **memory, size_t n, cudaStream_t stream);
cudaError_t cudaFreeAsync (void *memory, cudaStream_t stream);
cudaError_t cudaMallocHost (void **memory, size_t n);
cudaError_t cudaFreeHost (void *memory);
cudaError_t cudaStreamCreateWithFlags (cudaStream_t *stream, unsigned int flags);
cudaError_t cudaStreamDestroy (cudaStream_t stream);
cudaError_t cudaStreamSynchronize (cudaStream_t stream);
cudaError_t cudaMemcpy (void *dst, const void *src, size_t n, enum cudaMemcpyKind kind);
cudaError_t cudaMemcpyAsync (void *dst, const void *src, size_t n, enum cudaMemcpyKind kind, cudaStream_t stream);
cudaError_t cudaMemsetAsync (void *dst, int byte, size_t n, cudaStream_t stream);
cudaError_t cudaFuncGetAttributes (cudaFuncAttributes *attributes, const void *kernel);
cudaError_t cudaGetLastError (void);
const char *cudaGetErrorString (cudaError_t error);

#ifdef __cplusplus
}
#endif
