/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The last bytes of the output, which depend on the others. run.c calls it when all tensors are written. */
#pragma once
#include "io/save.h"
#include "plan/layout.h"

/* Lets @c, the container of @layout, write the bytes that no tensor owns */
gboolean qconv_complete_file (const QconvContainer *c, const Layout *layout, Save *save, GCancellable *cancellable,
                              GError **error);
