/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The metadata of text encoders in files that are written. */
#pragma once
#include "qconv-writer.h"

/* States the heads of a text encoder, copies the tokenizer from the file of the option "tokenizer", and warns of what
   loaders miss. The architecture must be set. Does nothing for other models. */
gboolean qconv_gguf_end_text (QconvOutput *o, GError **error);
