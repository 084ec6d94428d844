/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
#include "header.h"

/* Finds where the data start behind a header of @end bytes, and checks that every tensor lies in the file of @size
   bytes and over no other */
gboolean qconv_gguf_place_tensors (GgufHeader *h, guint64 end, guint64 size, GError **error);
