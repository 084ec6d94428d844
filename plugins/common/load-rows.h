/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A load function for tensors that hold the bytes of a component under another shape or type. Readers bind it. */
#pragma once
#include "qconv-reader.h"

/* Copies bytes. The tensor must have as many bytes as the component. */
gboolean qconv_load_rows (const QconvLoad *load, GError **error);
