/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Reads every byte of the tensors of a file and compares their checksums. check.c calls it. */
#pragma once
#include "check/report.h"
#include "schedule/progress.h"
#include "schedule/schedule.h"

/* Returns the bytes that qconv_read_back() reads */
guint64 qconv_read_back_bytes (const QconvModel *m);
/* Compares the tensors of @m with @sums: name → CRC-32 as GUINT_TO_POINTER, which loses them. Adds a problem for each
   tensor that has another checksum, that is not in @sums, or that is only in @sums. Fails if the file cannot be read */
gboolean qconv_read_back (const QconvModel *m, GHashTable *sums, const Limits *limits, Progress *progress,
                          QconvReport *r, GError **error);
