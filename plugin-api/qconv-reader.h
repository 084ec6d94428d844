/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Readers recognise a form in a directory and claim its tensors as layers. They unpack, they do not compute. */
#pragma once
#include "qconv-layer.h"
G_BEGIN_DECLS

typedef struct _QconvClaims QconvClaims; /* the layers of a directory while readers claim them */
typedef struct _QconvClaim QconvClaim;   /* one layer being claimed; owned by its QconvClaims */

/**
 * QconvLoad: what a load function fills: items [first, first + n) along axis 0 of @component, in canonical order.
 * A component that belongs to the whole layer is asked for as a whole.
 *
 * @tensors: as given to qconv_claim_bind(), NULL-terminated
 * @dst: room for exactly those items, uninitialised
 */
typedef struct {
  const QconvLayer *layer;
  const QconvComponent *component;
  const QconvTensor *const *tensors;
  guint64 first, n;
  void *dst;
} QconvLoad;
/* Any thread, no state. Errors: those of reading; QCONV_ERROR_NON_FINITE for a scale that is no number */
typedef gboolean (*QconvLoadFunc) (const QconvLoad *load, GError **error);

/* TRUE when a reader that scored higher has it already; binding it again is an error */
QCONV_API gboolean qconv_claims_taken (const QconvClaims *c, const QconvTensor *t);
/* TRUE under --allow-nonfinite: a reader may then claim a scheme that decodes scales which are no numbers */
QCONV_API gboolean qconv_claims_allow_nonfinite (const QconvClaims *c);
/* Starts a layer. @parameters as in "key=value,…" of the scheme's options, NULL: defaults; @dtype of the original
   weight. Shapes of components follow from scheme, parameters, rows and cols: core compares, a reader need not.
   What nobody claims is plain, a bias too.
   Returns: (transfer none) */
QCONV_API QconvClaim *qconv_claims_layer (QconvClaims *c, const char *name, const char *scheme, const char *parameters,
                                          guint64 rows, guint64 cols, QconvDType dtype);
/* @load NULL: the only tensor is the component, byte for byte (shapes [], [1] and [1,1] are equal; narrower floats are
   widened to F32). No tensor: @load makes a constant. Ends with NULL */
QCONV_API void qconv_claim_bind (QconvClaim *l, const char *component, QconvLoadFunc load, const QconvTensor *tensor,
                                 ...) G_GNUC_NULL_TERMINATED;
/* Only if the plain tensor is not [rows, cols]; same number of items */
QCONV_API void qconv_claim_shape (QconvClaim *l, const QconvShape *shape);
/* For the writer of the same scheme; no effect on numbers, unknown ones are ignored */
QCONV_API void qconv_claim_hint (QconvClaim *l, const char *key, const char *value);
/* Fewest rows worth loading at once, where tensors are stored across the rows; and bytes one load call allocates */
QCONV_API void qconv_claim_cost (QconvClaim *l, guint64 min_rows, gsize scratch);
/* A tensor or metadata key that only describes the form: not copied to other targets */
QCONV_API void qconv_claims_drop (QconvClaims *c, const QconvTensor *t);
QCONV_API void qconv_claims_drop_metadata (QconvClaims *c, const char *key);
/* An unclaimed tensor under another name or shape (GGUF orig_shape, prefix rules); NULL keeps */
QCONV_API void qconv_claims_rename (QconvClaims *c, const QconvTensor *t, const char *name, const QconvShape *shape);
/* One line for the user; core adds the file */
QCONV_API void qconv_claims_warn (QconvClaims *c, const char *format, ...) G_GNUC_PRINTF (2, 3);

typedef struct _QconvProblems QconvProblems; /* what `verify` prints, one line each */
/* @layer: (nullable): the file as a whole; @code: one lower-case word or a few joined by hyphens, for programs */
QCONV_API void qconv_problems_add (QconvProblems *p, const char *layer, const char *code, const char *format, ...)
    G_GNUC_PRINTF (4, 5);

/**
 * QconvReader: one form of quantized (or plain) weights inside a directory.
 */
typedef struct _QconvReader QconvReader;
struct _QconvReader {
  const char *id, *summary;
  const QconvOption *options;
  /* Returns: 0 not mine … 100 certain; from names, shapes and metadata only. Higher scores claim first */
  guint (*score) (const QconvReader *self, const QconvDirectory *d);
  /* Complete: a broken member is an error that names the missing one. May read small tensors */
  gboolean (*claim) (const QconvReader *self, const QconvDirectory *d, const QconvValues *options, QconvClaims *claims,
                     GError **error);
  /* Optional: everything else that its loader will trip over, not only the first thing; also after writing */
  void (*check) (const QconvReader *self, const QconvDirectory *d, QconvProblems *problems);
  gconstpointer reserved[4];
};
G_END_DECLS
