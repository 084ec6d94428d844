/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the headers of this folder need to compile as C, as C++ and by nvcc for a device. They hold what the scalar
   level and the CUDA backend compute for one unit of work, so that both give the same bytes. GLib ends at the device,
   so its names of types are given here for C++. */
#pragma once
#include <string.h>

#ifndef __cplusplus
#include <glib.h>
#else
#include <stddef.h>
#include <stdint.h>
typedef int8_t gint8;
typedef int16_t gint16;
typedef int32_t gint32, gint, gboolean;
typedef int64_t gint64;
typedef uint8_t guint8;
typedef uint16_t guint16;
typedef uint32_t guint32, guint;
typedef uint64_t guint64;
typedef size_t gsize;
#define FALSE 0
#define TRUE 1
#define MIN(a, b) ((a) < (b) ? (a) : (b))
#define MAX(a, b) ((a) > (b) ? (a) : (b))
#define CLAMP(x, low, high) ((x) > (high) ? (high) : (x) < (low) ? (low) : (x))
#define G_N_ELEMENTS(a) (sizeof (a) / sizeof ((a)[0]))
#endif

/* QCONV_ITEM begins a function, QCONV_SIZE one that whoever starts kernels calls too, QCONV_TABLE a constant array;
   QCONV_UNROLL stands before a loop over an array that must stay in registers */
#ifdef __CUDACC__
#define QCONV_SIZE static __host__ __device__ __forceinline__
#define QCONV_ITEM static __device__ __forceinline__
#define QCONV_TABLE [[maybe_unused]] static __device__ const
#define QCONV_UNROLL _Pragma ("unroll")
#else
#define QCONV_SIZE static inline
#define QCONV_ITEM static inline
#define QCONV_TABLE static const
#define QCONV_UNROLL
#endif
