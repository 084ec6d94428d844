/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Load functions, from tensors to components. The table of formats names them; claims bind them. */
#pragma once
#include "qconv-reader.h"

/* Load one component. "high": the even column is in the high nibble of a byte. "plain", "swizzled": block scales lie in
   plain rows, or in tiles. */
gboolean comfy_load_bytes (const QconvLoad *load, GError **error);
gboolean comfy_load_nibbles_high (const QconvLoad *load, GError **error);
gboolean comfy_load_nibbles_low (const QconvLoad *load, GError **error);
gboolean comfy_load_sixes (const QconvLoad *load, GError **error);
gboolean comfy_load_flat_high (const QconvLoad *load, GError **error);
gboolean comfy_load_flat_low (const QconvLoad *load, GError **error);
gboolean comfy_load_across (const QconvLoad *load, GError **error);
gboolean comfy_load_scales_swizzled (const QconvLoad *load, GError **error);
gboolean comfy_load_scales_plain (const QconvLoad *load, GError **error);
/* Loads the code book from the hint that repeats the layer's marker. */
gboolean comfy_load_map (const QconvLoad *load, GError **error);
