/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Scales of a quantized KV cache, which lie among the weights of a language model. Readers of such models call it. */
#pragma once
#include "qconv-reader.h"

/* Drops the scales that nobody claimed and warns once: only a runtime with such a cache uses them. */
void qconv_drop_kv_scales (const QconvDirectory *d, QconvClaims *claims);
