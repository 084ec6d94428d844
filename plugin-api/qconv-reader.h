/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A reader recognises a form inside a directory and claims its tensors as layers. It unpacks; it must not compute. */
#pragma once
#include "qconv-layer.h"
G_BEGIN_DECLS

typedef struct _QconvClaims QconvClaims; /* the layers of a directory while readers claim them */
typedef struct _QconvClaim QconvClaim;   /* one layer being claimed; its QconvClaims own it */

/**
 * QconvLoad: the arguments of a load function, which must fill items [first, first + n) along axis 0 of @component in
 * canonical order. A component that belongs to the whole layer is loaded in one call.
 *
 * @tensors: as qconv_claim_bind() got them; ends with NULL
 * @dst: room for exactly those items, not initialised
 * @data: (nullable): of qconv_claim_bind_data()
 */
typedef struct {
  const QconvLayer *layer;
  const QconvComponent *component;
  const QconvTensor *const *tensors;
  guint64 first, n;
  void *dst;
  GBytes *data;
} QconvLoad;
/* Fills load->dst. Core calls it from any thread; it must keep no state. Fails as qconv_tensor_read(), and with
   QCONV_ERROR_NON_FINITE if a scale is not a number. */
typedef gboolean (*QconvLoadFunc) (const QconvLoad *load, GError **error);

/* Returns whether a reader has bound or dropped @t already. A tensor must not be bound to two layers
   (QCONV_ERROR_INPUT). */
QCONV_API gboolean qconv_claims_taken (const QconvClaims *c, const QconvTensor *t);
/* Returns whether the user gave --allow-nonfinite. A reader may then claim a scheme that decodes scales which are not
   numbers. */
QCONV_API gboolean qconv_claims_allow_nonfinite (const QconvClaims *c);
/* States that the unclaimed tensor @t holds plain numbers. Without this, core refuses to take a tensor of FP8 or
   integers for numbers if an unclaimed tensor of the same module could scale or index it. */
QCONV_API void qconv_claims_state_plain (QconvClaims *c, const QconvTensor *t);
/* Returns whether a reader or the user (--allow-unscaled) stated that @t holds plain numbers. A reader that guesses
   from names must then leave it alone. */
QCONV_API gboolean qconv_claims_stated_plain (const QconvClaims *c, const QconvTensor *t);
/* Starts a layer @name (without ".weight") of [rows, cols], which may be 0 only if its tensors are empty. At least one
   tensor must be bound to it.
   @scheme: id of a quantizer, or "plain" for a plain tensor that its file does not hold row by row (transposed,
   strided, with swapped bytes): @name is then the whole name, and a load function must fill the component "weight",
   which is [rows, cols] unless qconv_claim_shape() sets another shape whose axis 0 is rows. Its items are whole bytes,
   not QCONV_OPAQUE. A tensor that no reader claims is plain as it is
   @parameters: (nullable): "key=value,…" of the scheme's options; NULL: defaults
   @dtype: of the weight before it was quantized; of the items of "weight" if @scheme is "plain"
   The shapes of the components follow from these. Core compares them with the tensors; the reader need not.
   Returns: (transfer none): the claim. */
QCONV_API QconvClaim *qconv_claims_layer (QconvClaims *c, const char *name, const char *scheme, const char *parameters,
                                          guint64 rows, guint64 cols, QconvDType dtype);
/* Binds @component to @tensor and those that follow; ends with NULL. If there is no tensor, @load makes a constant.
   If @load is NULL, the only tensor is the component byte for byte. Its shape may differ by ones: [], [1] and [1, 1]
   are equal. Its dtype must be that of the component, with two exceptions:
   - A tensor of any 8-bit type may fill a component of any other, because files name codes and scales differently:
     OPAQUE, F8_E4M3, F8_E5M2, F8_E8M0, both FNUZ types, I8, U8 and BOOL. The bytes do not change: a U8 tensor bound to
     an I8 component turns 255 into -1. A reader that must not take one of them compares dtypes itself.
   - An F16 or BF16 tensor fills an F32 component; core converts the numbers.
   Two 4-bit codes in a U8 tensor need a load function, because U4 does not have 8 bits. */
QCONV_API void qconv_claim_bind (QconvClaim *l, const char *component, QconvLoadFunc load, const QconvTensor *tensor,
                                 ...) G_GNUC_NULL_TERMINATED;
/* Does the same, and hands @data to every call of @load: what the reader knows of the layer besides its tensors. Core
   takes a reference. */
QCONV_API void qconv_claim_bind_data (QconvClaim *l, const char *component, QconvLoadFunc load, GBytes *data,
                                      const QconvTensor *tensor, ...) G_GNUC_NULL_TERMINATED;
/* Sets the shape of the plain tensor if it is not [rows, cols]. It must have the same number of items. */
QCONV_API void qconv_claim_shape (QconvClaim *l, const QconvShape *shape);
/* Tells a writer of the same scheme that @key is @value. Hints do not change numbers; a writer ignores keys that it
   does not know. */
QCONV_API void qconv_claim_hint (QconvClaim *l, const char *key, const char *value);
/* States the cost of loading: the fewest rows worth loading at once (tensors that are stored across the rows), and the
   bytes that one call of a load function allocates. */
QCONV_API void qconv_claim_cost (QconvClaim *l, guint64 min_rows, gsize scratch);
/* States that the numbers of the plain layer @l are computed from rounded ones, so that they may differ from those of
   the model that the file was made from. @load fills the largest difference of each item: F32 in the shape of the
   layer, not negative. It gets the tensors and the data of "weight", and its scratch counts in qconv_claim_cost().
   `qconv verify --against` allows that much */
QCONV_API void qconv_claim_error (QconvClaim *l, QconvLoadFunc load);
/* Leaves out a tensor or a metadata key that belongs only to the form; other targets do not get it. */
QCONV_API void qconv_claims_drop (QconvClaims *c, const QconvTensor *t);
QCONV_API void qconv_claims_drop_metadata (QconvClaims *c, const char *key);
/* Gives the unclaimed tensor @t another @name or @shape (same number of items); NULL keeps the old one. */
QCONV_API void qconv_claims_rename (QconvClaims *c, const QconvTensor *t, const char *name, const QconvShape *shape);
/* Adds one line for the user. Core puts the file's name before it. */
QCONV_API void qconv_claims_warn (QconvClaims *c, const char *format, ...) G_GNUC_PRINTF (2, 3);
/* Adds a warning about the layer, tensor or key @name. Warnings of one @code become one line, which holds the first
   text, the first names and their number. @name: (nullable): NULL: a line of its own. @code: as in
   qconv_problems_add(). */
QCONV_API void qconv_claims_warn_each (QconvClaims *c, const char *name, const char *code, const char *format, ...)
    G_GNUC_PRINTF (4, 5);

typedef struct _QconvProblems QconvProblems; /* the lines that `qconv verify` prints */
/* Adds a problem. @layer: (nullable): NULL: the file as a whole. @code: one lower-case word or a few joined by hyphens,
   for programs. */
QCONV_API void qconv_problems_add (QconvProblems *p, const char *layer, const char *code, const char *format, ...)
    G_GNUC_PRINTF (4, 5);
/* Adds a warning about the layer, tensor or key @name: the check does not fail. Warnings of one @code become one line
   as in qconv_claims_warn_each(). @name: (nullable): NULL: a line of its own. @code: as in qconv_problems_add() */
QCONV_API void qconv_problems_warn_each (QconvProblems *p, const char *name, const char *code, const char *format, ...)
    G_GNUC_PRINTF (4, 5);
/* Adds a line about the file that is neither: what it runs on, for example. */
QCONV_API void qconv_problems_note (QconvProblems *p, const char *format, ...) G_GNUC_PRINTF (2, 3);
/* Returns TRUE if a run has just written the file. What a layer took over from the input as it was, such as an unusual
   table, is then no problem: `qconv verify` reports it. */
QCONV_API gboolean qconv_problems_of_run (const QconvProblems *p);

/**
 * QconvReader: reads one form of quantized (or plain) weights inside a directory.
 *
 * @options: (nullable): ends with { NULL }
 * @score: returns 0 (not this form) … 100 (certain) from names, shapes and metadata only. All readers with a score
 *   above 0 claim, the highest score first, and of equal scores the id that sorts first; --from puts its reader before
 *   all others. Each finds taken what those before it claimed (qconv_claims_taken()). Bands that readers of qconv keep:
 *   90 to 100 the file names the form (a marker, a metadata key, a container that has no other form); 80 to 89 tensors
 *   that only this form has; 20 to 50 a guess from dtypes and names that other forms have, too; 10 no layer, but
 *   remains of the form that claim() or check() should report
 * @claim: claims all layers of the form. Must fail if a layer is broken, with the name of the missing member. May read
 *   small tensors
 * @check: (nullable): adds every problem that the form's loader would have, not only the first; core also calls it
 *   after writing
 */
typedef struct _QconvReader QconvReader;
struct _QconvReader {
  const char *id, *summary;
  const QconvOption *options;
  guint (*score) (const QconvReader *self, const QconvDirectory *d);
  gboolean (*claim) (const QconvReader *self, const QconvDirectory *d, const QconvValues *options, QconvClaims *claims,
                     GError **error);
  void (*check) (const QconvReader *self, const QconvDirectory *d, QconvProblems *problems);
  gconstpointer reserved[4];
};
G_END_DECLS
