/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Family files and the models that they describe, for tests of the layer graph. */
#pragma once
#include "families/catalogue.h"
#include "families/expand.h"
#include "families/identity.h"

/**
 * GraphModel: one variant of one family.
 *
 * @index: of the variant in its family
 * @about: the variant as the family describes it
 * @tensors: (element-type GraphTensor)
 */
typedef struct {
  const Family *family;
  guint index;
  const char *variant;
  const FamilyVariant *about;
  Dims *dims;
  GPtrArray *tensors;
} GraphModel;

/* Returns the families of QCONV_DATA_PATH, read once. (transfer none) */
const Families *graph_families (void);
/* Calls @each for every variant of every family. Asserts that there are some. Returns how many. */
guint graph_each_model (void (*each) (const GraphModel *m, gpointer data), gpointer data);
/* Returns the names and shapes of @tensors, each name behind @prefix. (transfer full) */
Names *graph_names (GPtrArray *tensors, const char *prefix);
/* Returns the name of the variant that detection reports */
const char *graph_detected_as (const GraphModel *m);
/* Returns TRUE if a small test leaves out way @way of @n_ways with @m; test_skips() says which */
gboolean graph_skips (const GraphModel *m, guint way, guint n_ways);
/* Returns TRUE if presets decide about @t, because it is the matrix of a layer */
gboolean graph_is_layer (const GraphTensor *t);
/* Returns the name without ".weight". (transfer full) */
char *graph_layer_name (const GraphTensor *t);
guint64 graph_n_items (const GraphTensor *t);
/* Asserts that @names, of a file identified as @id, lack @want; nothing if it is NULL */
void graph_assert_missing (const Identity *id, const Names *names, const char *want);
