/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
#include "graph/claims.h"
#include "io/source.h"
#include "qconv.h"
#include "registry/settings.h"

typedef struct _Knowledge Knowledge;

struct _QconvModel {
  char *path; /* as it was named: a file or a folder */
  QconvSource *source;
  const QconvContainer *container;
  QconvDirectory *directory;
  GArray *participants; /* Participant: the container and the readers that took part; owns the values */
  GPtrArray *readers;   /* const QconvReader, highest score first */
  QconvClaims *claims;
  GPtrArray *layers;     /* SourceLayer */
  GError *unclaimed;     /* (nullable): why there are no layers, in a model opened for verifying */
  GHashTable *by_name;   /* name without prefix or ".weight" -> SourceLayer */
  GHashTable *by_tensor; /* name of the whole weight tensor -> SourceLayer */
  Knowledge *knowledge;  /* see identify.h */
};

/* core/open.c: Returns: (transfer full): the file that stands for @path: itself, or the entry of a folder */
char *qconv_open_entry (const char *path, GError **error);
/* core/open.c: Returns: (transfer none): the container that knows @source best; --from forces one */
const QconvContainer *qconv_open_container (QconvSource *source, const char *from, GError **error);

/* Returns: (transfer none) (nullable): the layer or tensor whose short name (see identify.h) is @name's */
SourceLayer *qconv_model_find (const QconvModel *m, const char *name);
/* Returns: (transfer none) (nullable): by the exact name of its weight tensor */
SourceLayer *qconv_model_find_tensor (const QconvModel *m, const char *plain_name);
/* Returns: (transfer full) (element-type SourceLayer): every tensor by itself, whatever it encodes */
GPtrArray *qconv_model_verbatim (const QconvModel *m, GError **error);
