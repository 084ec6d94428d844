/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Checks the places of tensors, as the last step of reading a header. */
#pragma once
#include "header.h"

/* Sets the start of the data behind a header of @end bytes. Fails with QCONV_ERROR_INPUT if a tensor leaves the file of
   @size bytes or overlaps another one; warns of tensors off the alignment and of bytes behind the last tensor. */
gboolean qconv_gguf_place_tensors (GgufHeader *h, guint64 end, guint64 size, GError **error);
