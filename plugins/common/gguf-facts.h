/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Facts in the metadata keys of GGUF. The containers gguf and safetensors hand them over. */
#pragma once
#include "qconv-container.h"

/* Hands over the architecture and the number of heads if the metadata of @d has them. An array of head counts, one for
   each layer, is not a fact. */
void qconv_gguf_add_facts (QconvDirectory *d);
