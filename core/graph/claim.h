/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The claims of readers before they become layers. claims.c collects them, claimed-layers.c makes layers of them. */
#pragma once
#include "base/gather.h"
#include "graph/claims.h"

struct _QconvClaim {
  QconvClaims *claims;
  char *name, *scheme, *parameters;
  guint64 rows, cols, min_rows;
  QconvDType dtype;
  QconvShape shape;
  GHashTable *hints;
  GPtrArray *bindings;
  QconvLoadFunc error;
  const QconvReader *reader;
  gsize scratch;
};

typedef struct {
  char *name;
  gboolean has_shape;
  QconvShape shape;
} Rename;

struct _QconvClaims {
  const QconvDirectory *directory;
  gboolean allow_nonfinite;
  const QconvReader *reader;
  GPtrArray *claims;   /* QconvClaim */
  GHashTable *owners;  /* QconvTensor -> QconvClaim; a dropped tensor has the QconvClaims as owner */
  GHashTable *renames; /* QconvTensor -> Rename */
  GHashTable *plain;   /* QconvTensor: those that hold plain numbers, as a reader or the user stated */
  gboolean judged;     /* unclaimed tensors that may be codes are not plain */
  GHashTable *dropped_keys;
  Gather *warnings;
  GError *error; /* the first wrong claim of a reader */
};

/* Returns: (transfer full): no bindings yet */
GPtrArray *qconv_bindings_new (void);
