/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Reads every byte of tensors and computes their checksums. expected.c calls it. */
#pragma once
#include "base/checksum.h"
#include "qconv-types.h"
#include "schedule/progress.h"
#include "schedule/schedule.h"

/* Returns the bytes that qconv_read_back() reads */
guint64 qconv_read_back_bytes (const GPtrArray *tensors);
/* Reads @tensors (element-type QconvTensor). Returns: (transfer full): the checksum of each; NULL with an error if the
   file cannot be read */
Checksum *qconv_read_back (const GPtrArray *tensors, const Limits *limits, Progress *progress, GError **error);
