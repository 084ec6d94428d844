/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Finds the layers of a nunchaku file by the names of their tensors, and examines them. The reader asks; the file's
   metadata never decide. */
#pragma once
#include "names.h"
#include "qconv-plugin.h"
#include "trouble.h"

/* The kernels keep no more ranks (nunchaku: src/kernels/zgemm/lora.cuh) */
#define NUNCHAKU_LARGEST_RANK 1024

typedef enum { NUNCHAKU_INT4, NUNCHAKU_FP4, NUNCHAKU_AWQ } NunchakuKind;

/**
 * NunchakuLook: one layer.
 *
 * @members: (nullable): the tensors that the file has
 * @rows, @cols: of the weight, as the file holds it
 * @rank: of the factors; 0: AWQ
 * @half: the type of the 16-bit numbers
 * @chunks: AWQ: the number of vectors (shift, scale, gate …) that the layer makes
 * @shifted: the kernel adds 11/64 to the input of this layer, and its bias makes up for that
 * @troubles: (element-type QconvTrouble): why the layer cannot be read; empty: all members above hold
 */
typedef struct {
  char *name;
  NunchakuKind kind;
  const QconvTensor *members[NUNCHAKU_N_MEMBERS];
  guint64 rows, cols, rank;
  QconvDType half;
  guint chunks;
  gboolean shifted;
  GPtrArray *troubles;
} NunchakuLook;

/* Returns: (transfer full) (element-type NunchakuLook): all layers in the order of the file. */
GPtrArray *nunchaku_looks (const QconvDirectory *d);
/* Returns whether the file has a layer of nunchaku's, complete or not. */
gboolean nunchaku_has_layers (const QconvDirectory *d);
