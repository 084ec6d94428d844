/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Drives one quantizer on a matrix in memory as core does, for the tests of quantizers: passes over chunks, tiles
   and scratch memory of exactly the declared sizes. */
#pragma once
#include "qconv-plugin.h"

/* One encoded matrix */
typedef struct _Encoded Encoded;

/* Returns: (transfer none): the quantizer called @id of a plugin, which must have it */
const QconvQuantizer *driver_quantizer (const QconvPlugin *plugin, const char *id);

/* Returns: (transfer full) (nullable): components filled with zeros. @options: (nullable): "key=value,key=value";
   @dtype: of the weight before it is encoded. Options are settled. NULL with @error if an option or the shape does not
   suit */
Encoded *encoded_new (const QconvQuantizer *q, const char *options, QconvDType dtype, guint64 rows, guint64 cols,
                      GError **error);
void encoded_free (Encoded *e);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Encoded, encoded_free)

/* Returns: (transfer none): the layer, with settled options and components */
const QconvLayer *encoded_layer (const Encoded *e);
/* Returns: (transfer none) (nullable): all bytes of a component, with their number in @size (nullable). NULL if there
   is no such component */
gpointer encoded_data (const Encoded *e, const char *name, gsize *size);
/* Removes an optional component. */
void encoded_drop (Encoded *e, const char *name);

/* Gives encode() @n threads. */
void encoded_use_threads (Encoded *e, guint n);

/* Fills the components from @weights, [rows, cols] of encoded_layer()->dtype. @tile_rows: height of a tile, 0: all
   rows */
gboolean encoded_encode (Encoded *e, gconstpointer weights, guint64 tile_rows, GError **error);
/* Fills the components from those of @source, by the encoder that takes its scheme, which must exist. Sets *@exact to
   FALSE if the data did not fit; the components then hold nothing */
gboolean encoded_adopt (Encoded *e, const Encoded *source, guint64 tile_rows, gboolean *exact, GError **error);
/* Rows of @source: first, first + stride, …: @n of them, which begin and end at runs */
typedef struct {
  const Encoded *source;
  guint64 first, stride, n;
} EncodedPart;
/* Makes @e of the rows of other matrices as core does: copies components that follow rows or hold for any rows, and
   calls stack() for the others. Returns: (transfer full): the decoded rows of the sources in this order */
float *encoded_must_stack (Encoded *e, const EncodedPart *parts, guint n);
/* Decodes to @floats, [rows, cols] */
gboolean encoded_decode (const Encoded *e, float *floats, guint64 tile_rows, GError **error);
/* Do the same; abort the test on an error. */
Encoded *encoded_must_new (const QconvQuantizer *q, const char *options, QconvDType dtype, guint64 rows, guint64 cols);
void encoded_must_encode (Encoded *e, gconstpointer weights, guint64 tile_rows);
float *encoded_must_decode (const Encoded *e, guint64 tile_rows);
/* Validates in one tile. Returns TRUE if the quantizer has no validate() */
gboolean encoded_validate (const Encoded *e, GError **error);
/* Returns Σ(reference − other)² / Σ reference²; @reference: of @dtype */
double driver_relative_error (QconvDType dtype, gconstpointer reference, const float *other, guint64 rows,
                              guint64 cols);
