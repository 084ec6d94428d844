/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Judges how block scales lie if their shape allows tiles and plain rows. The reader calls it before it claims. */
#pragma once
#include "look.h"

/* Returns whether the scales of the layer may lie in tiles and in plain rows, as far as their shape goes. */
gboolean comfy_scales_open (const ComfyLook *l);

/* Judges the layers of @looks (element-type ComfyLook) for which comfy_scales_open() is TRUE. One answer is for all,
   because one program wrote the file. Their own numbers count first, then the shapes of the other layers. Sets
   #ComfyLook.judged and warns of what decides. @options: of the reader; QCONV_ERROR_INPUT: its scale-layout contradicts
   clear numbers. Reads at most 8 layers, and 128 KiB of each. */
gboolean comfy_judge_scales (const GPtrArray *looks, const QconvValues *options, QconvClaims *claims, GError **error);
/* Fails with QCONV_ERROR_INPUT if scale-layout is "plain" for @looks, layers with markers, and their numbers do not
   show plain rows: a marker says that scales lie in tiles. */
gboolean comfy_check_word (const GPtrArray *looks, const QconvValues *options, GError **error);
