/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Models read through the plugin that is linked in. The white-box tests share it. */
#pragma once
#include "build.h"
#include "graph/claims.h"
#include "io/directory.h"
#include "io/source.h"
#include "qconv-plugin.h"

const QconvPlugin *qconv_plugin_gguf (void);

/* A model. @error: (nullable): why it could not be opened; @layers: (nullable): set by model_claim() */
typedef struct {
  QconvSource *source;
  QconvDirectory *directory;
  QconvClaims *claims;
  GPtrArray *layers;
  GError *error;
} Model;

/* Hides plugin modules, which would bring another core with them. Must be called before anything else. */
void fixture_init (int *argc, char ***argv);

/* Open a model. @options: of the container, or NULL */
Model *model_open (const char *path, const char *options);
Model *model_open_bytes (gconstpointer bytes, gsize n, const char *options);
Model *model_open_build (const Build *b, const char *options);
void model_free (Model *m);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Model, model_free)

/* Lets the reader claim, unless the model has an error. @options: of the reader, or NULL */
void model_claim (Model *m, const char *options, gboolean allow_nonfinite);
/* Returns: (transfer none): the layer called @name, which must exist. */
const SourceLayer *model_layer (const Model *m, const char *name);

/* Returns: (transfer full): all warnings, one a line. */
char *model_warnings (const Model *m);
/* Asserts that the model opened without warning. */
void assert_opened (const Model *m);
/* Asserts that the model was refused and the message holds @word. */
void assert_refused (const Model *m, const char *word);
/* Asserts that the model opened and a warning holds @word. */
void assert_warned (const Model *m, const char *word);
