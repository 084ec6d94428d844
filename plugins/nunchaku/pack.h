/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Pack functions: components to the bytes of tensors, as nunchaku's kernels want them. The writer names them in its
   plan. Tensors with rows in blocks of NUNCHAKU_BLOCK come block by block. */
#pragma once
#include "qconv-plugin.h"

gboolean nunchaku_pack_codes (const QconvPack *pack, GError **error);
gboolean nunchaku_pack_block_scale (const QconvPack *pack, GError **error);
/* F32 numbers as BF16: those of groups, one for each row, and one for each column */
gboolean nunchaku_pack_groups (const QconvPack *pack, GError **error);
gboolean nunchaku_pack_rows (const QconvPack *pack, GError **error);
gboolean nunchaku_pack_columns (const QconvPack *pack, GError **error);
gboolean nunchaku_pack_down (const QconvPack *pack, GError **error);
gboolean nunchaku_pack_up (const QconvPack *pack, GError **error);
/* The floats of a plain tensor, of any type, as BF16 */
gboolean nunchaku_pack_plain (const QconvPack *pack, GError **error);
/* One F32 number, for every row */
gboolean nunchaku_pack_repeated (const QconvPack *pack, GError **error);
/* The component QCONV_BIAS, or zeros if the layer has none */
gboolean nunchaku_pack_bias (const QconvPack *pack, GError **error);
/* The same for an INT4 layer whose input the kernel shifts */
gboolean nunchaku_pack_shifted_bias (const QconvPack *pack, GError **error);
/* Modulation layers; pack->data: nunchaku_pack_chunks(). All rows come at once */
gboolean nunchaku_pack_awq_codes (const QconvPack *pack, GError **error);
gboolean nunchaku_pack_awq_numbers (const QconvPack *pack, GError **error);
gboolean nunchaku_pack_awq_bias (const QconvPack *pack, GError **error);
/* Returns: (transfer full): data for the pack functions of a modulation layer with @chunks chunks. */
GBytes *nunchaku_pack_chunks (guint chunks);
