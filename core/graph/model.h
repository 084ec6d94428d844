/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* An opened input: its directory, and the layers that readers found in it. All of core reads its fields. */
#pragma once
#include "graph/claims.h"
#include "io/source.h"
#include "qconv.h"
#include "registry/settings.h"

typedef struct _Knowledge Knowledge;

struct _QconvModel {
  char *path; /* as the user named it: a file or a folder */
  QconvSource *source;
  const QconvContainer *container;
  QconvDirectory *directory;
  GArray *participants; /* Participant: the container and the readers that took part; owns the values */
  GPtrArray *readers;   /* const QconvReader, highest score first */
  QconvClaims *claims;
  GPtrArray *layers;     /* SourceLayer */
  GError *unclaimed;     /* why there are no layers, if opened for verifying */
  GHashTable *by_name;   /* name without prefix or ".weight" -> SourceLayer */
  GHashTable *by_tensor; /* name of the whole weight tensor, with and without wrappers -> SourceLayer */
  Knowledge *knowledge;  /* see identify.h */
};

/* Opens a model of @n > 0 files whose names are others than those on the disk: those that a run is about to give them.
   Returns: (transfer full) */
QconvModel *qconv_model_open_set (const SourceName *files, guint n, const QconvOpenOptions *options, GError **error);
/* Fails with the first error that the system gave when a file of @m was read, see qconv_source_check_reads() */
gboolean qconv_model_check_reads (const QconvModel *m, GError **error);
/* Returns: (transfer none): the layer or tensor whose short name is that of @name; NULL if there is none */
SourceLayer *qconv_model_find (const QconvModel *m, const char *name);
/* Returns: (transfer none): the layer or tensor whose weight tensor is called @plain_name; NULL if there is none */
SourceLayer *qconv_model_find_tensor (const QconvModel *m, const char *plain_name);
/* Returns: (transfer full) (element-type SourceLayer): every tensor by itself, whatever it encodes */
GPtrArray *qconv_model_verbatim (const QconvModel *m, GError **error);
