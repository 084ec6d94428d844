/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The vision part of a model that lies in another file beside it (mmproj-….gguf). qconv_model_open() calls this. */
#pragma once
#include "base/warn.h"
#include "graph/model.h"

/* Adds the tensors of the vision part to the directory of @m, if the architecture of @m has such a file and exactly one
   lies beside it. A file that cannot be taken is a warning, because the model is complete without pictures */
gboolean qconv_vision_file_add (QconvModel *m, const Warn *warn, GError **error);
