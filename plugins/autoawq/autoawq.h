/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Shared by the files of this plugin, which reads AutoAWQ's layers into the scheme gptq. */
#pragma once
#include "qconv-plugin.h"
#include "qweight.h"

#define AUTOAWQ_WORD 8 /* codes in a word of 32 bits */

/* One layer, its shape and its problems. @troubles: (element-type QconvTrouble) */
typedef struct {
  const QweightLayer *layer;
  QweightForm form;
  guint64 rows, cols, group;
  GPtrArray *troubles;
} AutoawqLook;
/* Examines @layer, whose packing is @form. */
void autoawq_look (AutoawqLook *look, const QweightLayer *layer, QweightForm form, const QuantConfig *config);
void autoawq_look_clear (AutoawqLook *look);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (AutoawqLook, autoawq_look_clear)

gboolean autoawq_load_gemm_codes (const QconvLoad *load, GError **error);
gboolean autoawq_load_gemm_zeros (const QconvLoad *load, GError **error);
gboolean autoawq_load_gemv_codes (const QconvLoad *load, GError **error);
gboolean autoawq_load_gemv_zeros (const QconvLoad *load, GError **error);
gboolean autoawq_load_gemv_scales (const QconvLoad *load, GError **error);
/* Returns the bytes that the last two allocate for the tensor @t. */
gsize autoawq_gemv_scratch (const QconvTensor *t);

extern const QconvReader autoawq_reader;
