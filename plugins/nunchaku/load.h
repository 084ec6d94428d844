/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Load functions that the reader binds: they unpack the tensors of nunchaku's files. */
#pragma once
#include "look.h"
#include "packing.h"

/* Reads rows of a packed matrix, whose tensor holds whole blocks */
gboolean nunchaku_read_rows (const QconvTensor *t, const NunchakuLayout *l, const NunchakuRows *rows, GError **error);
/* Reads rows of 16-bit numbers, block by block, to floats at @dst. @where->data does not count */
gboolean nunchaku_read_floats (const QconvTensor *t, const NunchakuLayout *l, const NunchakuRows *where, float *dst,
                               GError **error);

gboolean nunchaku_load_codes (const QconvLoad *load, GError **error);
gboolean nunchaku_load_block_scale (const QconvLoad *load, GError **error);
/* 16-bit numbers that lie like vectors: vectors, and the scales of INT4, become F32 */
gboolean nunchaku_load_numbers (const QconvLoad *load, GError **error);
gboolean nunchaku_load_down (const QconvLoad *load, GError **error);
gboolean nunchaku_load_up (const QconvLoad *load, GError **error);
/* The bias, in its own type */
gboolean nunchaku_load_bias (const QconvLoad *load, GError **error);
/* The sum of one or two biases, in F32 */
gboolean nunchaku_load_bias_sum (const QconvLoad *load, GError **error);
/* The most that such a sum differs from the model's bias */
gboolean nunchaku_bias_sum_error (const QconvLoad *load, GError **error);
/* The same of a layer whose input the kernel shifts, without what makes up for the shift. load->data:
   nunchaku_shift_data() */
gboolean nunchaku_load_shifted_bias (const QconvLoad *load, GError **error);
/* The most that such a bias differs from the model's: nunchaku_load_shifted_bias() adds the shift times the sums of
   codes, but a file may be made from those of the weights before they were rounded to codes */
gboolean nunchaku_shifted_bias_error (const QconvLoad *load, GError **error);
/* Modulation layers. load->data: nunchaku_chunk_data() */
gboolean nunchaku_load_awq_codes (const QconvLoad *load, GError **error);
gboolean nunchaku_load_awq_scale (const QconvLoad *load, GError **error);
/* Also takes 1 off where the file has it, so the numbers are F32 */
gboolean nunchaku_load_awq_bias (const QconvLoad *load, GError **error);
/* The most that such a bias differs from the model's */
gboolean nunchaku_awq_bias_error (const QconvLoad *load, GError **error);

/* Finds the two biases of a layer of which @l is one half: "out_proj" and "mlp_fc2" of a single block of FLUX.1 are
   columns of one matrix, so that their biases are added. Returns FALSE if @l is none, or the other is missing. */
gboolean nunchaku_bias_halves (const QconvDirectory *d, const NunchakuLook *l, const QconvTensor *halves[2]);
/* Returns: (transfer full): the other tensors of the layer, which must outlive the load function's calls. */
GBytes *nunchaku_shift_data (const NunchakuLook *l);
GBytes *nunchaku_chunk_data (const NunchakuLook *l);
/* Returns the number of vectors that a modulation layer makes. */
guint nunchaku_chunks (const QconvLoad *load);
/* Return the most bytes that one call of these functions allocates for the weight, and for the bias. */
gsize nunchaku_load_scratch (const NunchakuLook *l);
gsize nunchaku_bias_scratch (const NunchakuLook *l);
