/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What readers claim in the tests of claims, and what becomes of it. test-claims.c walks the cases. */
#pragma once
#include "graph/claims.h"
#include "io/directory.h"
#include "io/source.h"

typedef struct {
  QconvSource *source;
  QconvDirectory *d;
  QconvClaims *claims;
} World;

/* Returns the tensor @name, which must be there */
const QconvTensor *world_tensor (const World *w, const char *name);

/**
 * Case: a reader claims layer "a" with these tensors, if @codes is set, then does @claim.
 * @scale, @claim: (nullable)
 * @opaque: the reader does not claim the opaque tensor
 * @error: (nullable): the message of qconv_claims_finish(), with @code; else a layer that must come out:
 * @gone: tensors that are no layers of their own
 */
typedef struct {
  const char *title, *codes, *scale;
  void (*claim) (const World *w, QconvClaim *l);
  const char *error;
  QconvError code;
  gboolean opaque;
  guint gone;
  const char *layer, *plain_name, *scheme;
  const char *components[4];
  guint64 bytes;
} Case;

#define LAYER_A .layer = "a", .plain_name = "a.weight", .scheme = "half", .components = { "codes", "scale" }

extern const Case claim_cases[];
extern const guint n_claim_cases;
