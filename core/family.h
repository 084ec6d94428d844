/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What data/families/generic.json knows about names: prefixes, layers to keep, weights that loaders probe. */
#pragma once
#include "qconv-container.h"

/* What a name stands for without knowing the model's family */
typedef struct _Family Family;

/* Returns: (transfer none): read once from QCONV_DATA_PATH or the installed data; NULL with an error if it is broken */
const Family *qconv_family_generic (GError **error);

/* Returns: (transfer none): @name behind the container prefix ("model.diffusion_model." …), a pointer into @name */
const char *qconv_family_strip (const Family *f, const char *name);
/* Returns: (transfer full): layer's short name: no prefix, no ".weight" */
char *qconv_family_layer_name (const Family *f, const char *name);
/* Both dimensions of a layer must have at least this many items to be quantized unasked */
guint64 qconv_family_min_dim (const Family *f);
/* Whether the layer with this short name is kept: embeddings, norms, first and last projections */
gboolean qconv_family_keeps (const Family *f, const char *layer_name);
/* Whether loaders tell models apart by the stored shape of this layer */
gboolean qconv_family_probed (const Family *f, const char *layer_name);
/* Returns: (transfer none) (nullable): "FLUX.1 in diffusers naming": names that loaders of quantized files do not
   know */
const char *qconv_family_foreign_naming (const Family *f, const QconvDirectory *d);
