/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What readers said about a directory, and the layers that follow from it. */
#pragma once
#include "layer.h"
#include "qconv-reader.h"

/* Where one component of a source layer comes from. @load NULL: the only tensor, as it is */
typedef struct {
  char *component;
  QconvLoadFunc load;
  GPtrArray *tensors; /* const QconvTensor, NULL-terminated */
} Binding;

/**
 * SourceLayer: one layer as a reader claimed it, or one plain tensor that nobody claimed.
 *
 * @bindings: (element-type Binding): as claimed
 * @name: of the layer, without ".weight"
 * @plain_name: name of the whole weight tensor in a plain file
 * @reader: (nullable): who claimed it; NULL: nobody
 * @min_rows, @scratch: as in qconv_claim_cost()
 * @bytes: stored, weight and scales
 */
typedef struct {
  Layer *layer;
  GPtrArray *bindings;
  char *name, *plain_name;
  const QconvReader *reader;
  guint64 min_rows;
  gsize scratch;
  guint64 bytes;
} SourceLayer;
void qconv_source_layer_free (SourceLayer *s);
/* Returns: (nullable): the tensor of a layer that nobody claimed */
const QconvTensor *qconv_source_layer_tensor (const SourceLayer *s);
/* Returns: where @component comes from; NULL where the source lacks it */
const Binding *qconv_source_layer_binding (const SourceLayer *s, const char *component);

QconvClaims *qconv_claims_new (const QconvDirectory *d, gboolean allow_nonfinite);
void qconv_claims_free (QconvClaims *c);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (QconvClaims, qconv_claims_free)
/* Says which reader claims next */
void qconv_claims_set_reader (QconvClaims *c, const QconvReader *reader);
/* Returns: (transfer none) (element-type utf8) */
GPtrArray *qconv_claims_warnings (const QconvClaims *c);
gboolean qconv_claims_metadata_dropped (const QconvClaims *c, const char *key);
/* Returns: (transfer full) (element-type SourceLayer): claimed layers and what is left, in the order of the directory.
   An error where a claim contradicts its quantizer */
GPtrArray *qconv_claims_finish (QconvClaims *c, GError **error);
