/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Pack functions, from components to tensors; each undoes the load function of the same name. The table of formats and
   the writer name them. */
#pragma once
#include "qconv-writer.h"

gboolean comfy_pack_bytes (const QconvPack *pack, GError **error);
gboolean comfy_pack_nibbles_high (const QconvPack *pack, GError **error);
gboolean comfy_pack_nibbles_low (const QconvPack *pack, GError **error);
gboolean comfy_pack_sixes (const QconvPack *pack, GError **error);
gboolean comfy_pack_flat_high (const QconvPack *pack, GError **error);
gboolean comfy_pack_flat_low (const QconvPack *pack, GError **error);
gboolean comfy_pack_across (const QconvPack *pack, GError **error);
gboolean comfy_pack_scales_swizzled (const QconvPack *pack, GError **error);
/* Appends the code book to the planned text of a marker and fills the rest with spaces. */
gboolean comfy_pack_marker (const QconvPack *pack, GError **error);
