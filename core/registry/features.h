/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The features of loaded plugins, by kind and id. The registry fills and asks it; targets look up what they need. */
#pragma once
#include "qconv.h"

typedef enum { FEATURE_CONTAINER, FEATURE_READER, FEATURE_QUANTIZER, FEATURE_WRITER, N_FEATURE_KINDS } FeatureKind;

/**
 * Features:
 *
 * @owners: by kind: id → Offer; the first module that offers an id has it
 * @all: by kind: the features that are used, in the order of their modules; see qconv_features_list()
 */
typedef struct {
  GHashTable *owners[N_FEATURE_KINDS];
  GPtrArray *all[N_FEATURE_KINDS];
} Features;

/* Returns no features yet */
Features *qconv_features_new (void);
/* Adds the features of @m, which must stay for ever. A feature whose id is taken is left out with a warning */
void qconv_features_add (Features *f, QconvModule *m);
/* Lists the features of @modules in f->all, after the last qconv_features_add() */
void qconv_features_list (Features *f, const GPtrArray *modules);
/* Returns: (transfer none) (nullable): the feature with this id */
gconstpointer qconv_features_find (const Features *f, FeatureKind kind, const char *id);
/* Returns: (transfer none): the module of @writer, which must be used */
QconvModule *qconv_features_module (const Features *f, const QconvWriter *writer);
/* Records in @m, and warns, that its feature @id is left out because @owner has that id. @kind: as in QconvLeftOut */
void qconv_module_leave_out (QconvModule *m, const char *kind, const char *id, const QconvModule *owner);
