/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Converts every layer of a plan into a file. The run calls it. */
#pragma once
#include "run/output-file.h"
#include "schedule/progress.h"

/* Converts all layers of @plan into @file and counts their bytes in @progress */
gboolean qconv_convert_layers (QconvPlan *plan, OutputFile *file, Progress *progress, GCancellable *cancellable,
                               GError **error);
/* Returns the bytes that qconv_convert_layers() will count */
guint64 qconv_convert_bytes (const QconvPlan *plan);
