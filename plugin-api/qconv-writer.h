/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Writers name and pack components for one loader. They see names and tensors, never file offsets. */
#pragma once
#include "qconv-reader.h"
G_BEGIN_DECLS

typedef struct _QconvOutput QconvOutput; /* the planned file and what is known about the model */

/**
 * QconvPack: what a pack function fills: the bytes of one tensor that rows [first_row, first_row + n_rows) own.
 *
 * @src: (nullable): the items of the tensor's component for these rows, or all of it; NULL without component
 * @dst: zeroed
 * @n_dst: bytes
 * @data: (nullable): as planned
 */
typedef struct {
  const QconvLayer *layer;
  gconstpointer src;
  guint64 first_row, n_rows;
  guint8 *dst;
  gsize n_dst;
  GBytes *data;
} QconvPack;
typedef gboolean (*QconvPackFunc) (const QconvPack *pack, GError **error); /* any thread, no state */
/* Returns: (transfer none) (nullable): another component: the share of these rows, or all of a whole-layer one, which
   is finished */
QCONV_API gconstpointer qconv_pack_component (const QconvPack *p, const char *name);

/**
 * QconvPlanned: a tensor to be written. Without @pack it is the component @from as it is (cast where @dtype is another
 * float), or @data, or zeros. Text that depends on numbers: a pack function that fills up with spaces to the planned
 * length.
 *
 * @run: with @pack, in bytes; QCONV_WHOLE: one call when the layer is complete
 * @load: (nullable): the load function that undoes @pack. An edited file whose tensor was bound by it keeps that
 *   tensor's bytes, dtype and shape: they are copied, not unpacked
 * @data: (transfer none) (nullable): referenced by core; exactly the tensor's bytes when there is no @pack
 * @file: 0, the file OUTPUT
 */
typedef struct {
  QconvDType dtype;
  QconvShape shape;
  const char *from;
  QconvPackFunc pack;
  QconvRun run;
  GBytes *data;
  guint32 file;
  QconvLoadFunc load;
  gconstpointer reserved[1];
} QconvPlanned;
/* Named layer->name + @suffix; @layer NULL: @suffix is the name. Biases are plain tensors of their own and come
   to keep().
   QCONV_ERROR_UNSUPPORTED: the name is taken */
QCONV_API gboolean qconv_output_add (QconvOutput *o, const QconvLayer *layer, const char *suffix,
                                     const QconvPlanned *tensor, GError **error);
/* @value NULL: remove. The metadata starts as the input's, less what readers dropped */
QCONV_API void qconv_output_set_metadata (QconvOutput *o, const char *key, const char *value);
/* Returns: (transfer none) */
QCONV_API const QconvDirectory *qconv_output_input (const QconvOutput *o);
/* Returns: (transfer none): of this writer */
QCONV_API const QconvValues *qconv_output_options (const QconvOutput *o);
/* Planned layers, encoded ones and kept tensors */
QCONV_API guint qconv_output_n_layers (const QconvOutput *o);
QCONV_API const QconvLayer *qconv_output_layer (const QconvOutput *o, guint i);
/* Returns: (transfer none) (nullable): from the family file: "family", "variant", a dimension's name, or a text kept
   there for this writer; NULL: unknown. This core does not hand them out: always NULL */
QCONV_API const char *qconv_output_fact (const QconvOutput *o, const char *name);

/* Another scheme for a role class; @scheme NULL: keep */
typedef struct {
  const char *role, *scheme, *parameters;
} QconvRoleScheme;

/**
 * QconvTarget: what may stand before the last hyphen of a target name.
 *
 * @scheme: NULL: every tensor verbatim, no reader is asked
 * @dtype: with the scheme "plain": the float type all floats are cast to; QCONV_OPAQUE: none, as they are
 * @parameters: (nullable): fixed here; NULL: the user's, or those of a source of the same scheme
 * @roles: (nullable): other schemes for some role classes; ends with { NULL }. This core does not look at roles: a
 *   target that has them is not offered
 */
typedef struct {
  const char *name, *summary;
  const char *scheme;
  QconvDType dtype;
  const char *parameters;
  const QconvRoleScheme *roles;
  gconstpointer reserved[2];
} QconvTarget;

/**
 * QconvWriter: tensors of one kind of target file.
 *
 * @container: id of the container that lays the file out
 * @suffix: of the file's name, ".safetensors"
 * @reader: (nullable): id of the reader that reads it back; NULL: all is plain
 * @spellings: (nullable): namings of family files ("original", "diffusers") that its loader knows, default first; NULL:
 *   the source's
 * @targets: ends with { NULL }
 */
typedef struct _QconvWriter QconvWriter;
struct _QconvWriter {
  const char *id, *summary;
  const QconvOption *options;
  const char *container;
  const char *suffix;
  const char *reader;
  const char *const *spellings;
  const QconvTarget *targets;
  /* The tensors of one encoded layer; NULL if all targets are plain */
  gboolean (*layer) (const QconvWriter *self, QconvOutput *o, const QconvLayer *layer, GError **error);
  /* A plain one; its name is the tensor's whole name, its component "weight". NULL: written as it is */
  gboolean (*keep) (const QconvWriter *self, QconvOutput *o, const QconvLayer *tensor, GError **error);
  /* After all layers: file-level tensors and metadata; may be NULL */
  gboolean (*end) (const QconvWriter *self, QconvOutput *o, GError **error);
  gconstpointer reserved[8];
};
G_END_DECLS
