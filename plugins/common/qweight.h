/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Layers whose tensors are called qweight, qzeros, scales and g_idx: those of GPTQ and of AutoAWQ have the same names
   and other packings. The readers of both ask which a layer is. */
#pragma once
#include "qconv-reader.h"
#include "quant-config.h"

/* The tensors of one layer. Each is (nullable), but at least two are there */
typedef struct {
  char *name;
  const QconvTensor *qweight, *qzeros, *scales, *g_idx;
} QweightLayer;
/* Returns: (transfer full) (element-type QweightLayer): all layers in the order of the file. */
GPtrArray *qweight_layers (const QconvDirectory *d);

/* Returns whether a reader has claimed a tensor of the layer. */
gboolean qweight_taken (const QweightLayer *l, const QconvClaims *claims);

/* The packings. K inputs, N outputs, G groups, b bits, words of w bits:
   GPTQ: qweight [K·b/w, N], qzeros [G, N·b/w], scales [G, N] (GPTQModel: nn_modules/qlinear/__init__.py)
   GEMM: qweight [K, N/8], qzeros [G, N/8], scales [G, N] (AutoAWQ: awq/modules/linear/gemm.py)
   GEMV: qweight [N, K/8], qzeros [N, Z], scales [N, 8·Z] (AutoAWQ: awq/modules/linear/gemv.py)
   FAST: qzeros are floats (AutoAWQ: awq/modules/linear/gemv_fast.py, llm-awq) */
typedef enum { QWEIGHT_GPTQ, QWEIGHT_GEMM, QWEIGHT_GEMV, QWEIGHT_FAST } QweightForm;
/* Returns the packing of a layer, by its shapes, and by @config (nullable) where shapes fit several or none. */
QweightForm qweight_form (const QweightLayer *l, GVariant *config);

/* Returns the method and the format that @config (nullable) names, "" if it does not. */
const char *qweight_method (GVariant *config);
const char *qweight_format (GVariant *config);

/* Adds a trouble of the whole file if @config says that the words are tiled for one kernel. */
void qweight_refuse_tiling (const QuantConfig *config, GPtrArray *troubles);

/* Reads bytes [first, first + n) of each of the @n_rows rows from @row of @t, whose rows have @stride bytes, and stores
   them one behind the other. */
gboolean qweight_read_block (const QconvTensor *t, guint64 stride, guint64 row, guint64 n_rows, guint64 first, gsize n,
                             gpointer dst, GError **error);
/* Loads a component F32 [N, G] from the first tensor, F16, BF16 or F32 [G, N]. Allocates QWEIGHT_SCRATCH bytes. */
gboolean qweight_load_scales (const QconvLoad *load, GError **error);
/* Bytes that a load function may allocate: blocks of tensors that are stored across the rows */
#define QWEIGHT_SCRATCH ((gsize) 1 << 19)
