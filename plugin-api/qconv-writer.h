/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A writer names and packs the components for one loader. It sees names and tensors, never offsets in a file. */
#pragma once
#include "qconv-reader.h"
G_BEGIN_DECLS

typedef struct _QconvOutput QconvOutput; /* the planned file, and the facts that are known about the model */

/**
 * QconvPack: the arguments of a pack function, which must fill the bytes of one tensor that rows [first_row, first_row
 * + n_rows) own.
 *
 * @src: (nullable): the items of the tensor's component for these rows, or all of a whole-layer one; NULL if the
 *   tensor has no component
 * @dst: @n_dst bytes, all zero
 * @data: (nullable): #QconvPlanned.data
 */
typedef struct {
  const QconvLayer *layer;
  gconstpointer src;
  guint64 first_row, n_rows;
  guint8 *dst;
  gsize n_dst;
  GBytes *data;
} QconvPack;
/* Fills pack->dst. Core calls it from any thread; it must keep no state. */
typedef gboolean (*QconvPackFunc) (const QconvPack *pack, GError **error);
/* Returns: (transfer none) (nullable): another component of the layer: the share of these rows, or all of a whole-layer
   one, which is finished. */
QCONV_API gconstpointer qconv_pack_component (const QconvPack *p, const char *name);

/**
 * QconvBlockType: a type of tensors whose items lie in blocks, which only a container and its readers understand.
 *
 * @name: the container's name of the type ("Q4_K"), as in #QconvTensor
 * @items, @bytes: of one block; blocks follow the last axis
 */
typedef struct {
  const char *name;
  guint32 items, bytes;
} QconvBlockType;

/**
 * QconvPlanned: a tensor to write. Without @pack its bytes are those of the component @from (cast if @dtype is another
 * float), else @data, else zeros. Text that depends on numbers needs a pack function that fills the rest of the
 * planned length with spaces.
 *
 * @dtype, @shape: of the tensor in the file. QCONV_OPAQUE: blocks of @blocks, whose bytes are those of the component
 *   unless there is a pack function
 * @from: (nullable): name of the component
 * @pack: (nullable): makes the bytes; only for tensors of a layer
 * @run: of @pack, in bytes; QCONV_WHOLE: one call when the layer is complete
 * @data: (transfer none) (nullable): core takes a reference. Without @pack exactly the tensor's bytes
 * @file: number of the output file; 0 unless the writer names files, see qconv_output_add_file()
 * @load: (nullable): the load function that undoes @pack. If an edited file bound this component by the same function,
 *   core copies the bytes, dtype and shape of the old tensor instead of unpacking them
 * @blocks: (nullable): the type of a QCONV_OPAQUE tensor. Core keeps the pointer
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
  const QconvBlockType *blocks;
} QconvPlanned;
/* Adds a tensor called layer->name + @suffix; @layer: (nullable): NULL: @suffix is the name. A bias is a plain tensor
   of its own and comes to keep(), unless the writer takes biases. Fails with QCONV_ERROR_UNSUPPORTED if the name is
   taken. */
QCONV_API gboolean qconv_output_add (QconvOutput *o, const QconvLayer *layer, const char *suffix,
                                     const QconvPlanned *tensor, GError **error);
/* Makes the output a folder with the file @name, a plain file name, and returns its number for #QconvPlanned.file: the
   first call names file 0, which gets the metadata, and file 0 must hold tensors. The folder is called as a single file
   would be, without the suffix. @bytes: (nullable): the whole contents of a file without tensors; NULL: the container
   lays the file out, without metadata. For end(): files may be named after their tensors. */
QCONV_API guint32 qconv_output_add_file (QconvOutput *o, const char *name, GBytes *bytes);
/* Adds one line for the user about the planned output. */
QCONV_API void qconv_output_warn (QconvOutput *o, const char *format, ...) G_GNUC_PRINTF (2, 3);
/* Sets the metadata @key to the text @value, or removes it if @value is NULL. At first the metadata are those of the
   input without the keys that readers dropped. */
QCONV_API void qconv_output_set_metadata (QconvOutput *o, const char *key, const char *value);
/* The same with a @value (transfer floating) of any type that the container can write. */
QCONV_API void qconv_output_set_metadata_value (QconvOutput *o, const char *key, GVariant *value);
/* Returns: (transfer none): the directory of the input. */
QCONV_API const QconvDirectory *qconv_output_input (const QconvOutput *o);
/* Returns: (transfer none): the name of the target without the writer's, "nvfp4", or "edit". */
QCONV_API const char *qconv_output_target (const QconvOutput *o);
/* Returns: (transfer none): the options of this writer. */
QCONV_API const QconvValues *qconv_output_options (const QconvOutput *o);
/* Returns the number of planned layers, encoded ones and kept tensors. */
QCONV_API guint qconv_output_n_layers (const QconvOutput *o);
/* Returns: (transfer none): planned layer @i. */
QCONV_API const QconvLayer *qconv_output_layer (const QconvOutput *o, guint i);
/* Returns: (transfer none) (nullable): what is known about the model: "family" and "variant", ids of a family file;
   "kind", of the family ("diffusion"); "naming", the spelling of the output's names, as family files call it;
   "architecture", as #QconvFact has it, which the input states or the family knows;
   "prefix", the start of the model's names in the output; or the number of a dimension that the family file names, in
   decimal. NULL if it is not known, and for verbatim copies. */
QCONV_API const char *qconv_output_fact (const QconvOutput *o, const char *name);

/**
 * QconvRoleScheme: another scheme for the layers of one role.
 *
 * @parameters: (nullable): options of @scheme that the target fixes
 * @takes: (nullable): returns whether the layer in block @block of @n of a model of @kind, as family files have it
 *   ("diffusion", "text_encoder"), has this scheme; NULL: all have. Of several rows for one role the first that takes a
 *   layer counts. A layer outside of blocks, or of a model whose number of blocks is not known, is in block 0 of 0
 */
typedef struct {
  const char *role, *scheme, *parameters;
  gboolean (*takes) (const char *kind, guint64 block, guint64 n);
} QconvRoleScheme;

/* Layers whose shape @scheme does not take become @instead, or what stands instead of that. */
typedef struct {
  const char *scheme, *instead;
} QconvInstead;

/**
 * QconvTarget: one way to write; @name stands before the last hyphen of the target's name.
 *
 * @scheme: (nullable): NULL: core copies every tensor and asks no reader
 * @dtype: with the scheme "plain": the type to which all floats are cast; QCONV_OPAQUE: they stay as they are
 * @parameters: (nullable): options of @scheme that this target fixes; NULL: those of the user, or of a source of the
 *   same scheme
 * @roles: (nullable): other schemes for some roles of layers, as family files name them ("modulation"); ends with
 *   { NULL }. Their options are those of the scheme, named SCHEME.KEY
 * @beside: the loader also takes layers of @scheme in files of the writer's other targets. Layers that a source has in
 *   this scheme, and that core would keep, are then moved instead of decoded
 * @file_name: (nullable): pattern of the output's name without suffix, if the user names none: "{stem}" stands for the
 *   name of the input, "{KEY}" for the option KEY of @scheme, or of the writer if that is "plain". NULL:
 *   "{stem}-TARGET"
 * @instead: (nullable): schemes for layers that do not fit the target's; ends with { NULL }. Layers for which there is
 *   none, or no plugin has it, stay plain
 * @gives_way: if the check finds layers beyond the bound of their scheme, the program converts once more and leaves
 *   them plain
 * @complete: the loader knows every layer that the family advises to encode only in that form: layers are also encoded
 *   if the source keeps them plain beside quantized ones, or if they are small. It does not tell models apart by the
 *   shapes of tensors
 */
typedef struct {
  const char *name, *summary;
  const char *scheme;
  QconvDType dtype;
  const char *parameters;
  const QconvRoleScheme *roles;
  gboolean beside, complete;
  const char *file_name;
  const QconvInstead *instead;
  gboolean gives_way;
} QconvTarget;

/**
 * QconvWriter: tensors of one kind of target file.
 *
 * @options: (nullable): ends with { NULL }
 * @container: id of the container that lays the file out
 * @suffix: of the file's name, ".safetensors"
 * @reader: (nullable): id of the reader that reads the file back; NULL: all tensors are plain
 * @spellings: (nullable): namings of family files ("original", "diffusers") that the loader knows, default first; ends
 *   with NULL. NULL: the source's naming
 * @targets: ends with { NULL }
 * @layer: (nullable): adds the tensors of one encoded layer; NULL if all targets are plain
 * @keep: (nullable): adds one plain tensor, whose layer->name is the whole name and whose component is "weight"; NULL:
 *   core writes it as it is
 * @plain_type: (nullable): returns the type of floats in the plain tensor @name of @shape, a float of @dtype (FP8, too)
 *   in the input or decoded to it; QCONV_OPAQUE and NULL: the target's, else @dtype. Core casts or decodes to that type
 *   at once. @bare: the family says that the model holds it in no module that loaders exchange for theirs
 * @end: (nullable): adds tensors and metadata of the whole file, after all layers
 * @hints: (nullable): the keys of hints that the files can store and edits may set or remove; ends with NULL.
 *   QCONV_ANY_HINT: every key; edits set a key that is not named and not in the file only if the user insists. NULL:
 *   none. Core refuses edits of other keys; layer() may refuse more
 * @component: (nullable): the part of an all-in-one checkpoint that the files hold ("diffusion"), unless the user names
 *   one; its names get no prefix. QCONV_COMPONENT_MAIN: the diffusion part of a checkpoint, or the model that the file
 *   is of. NULL: all of it
 * @left_out: (nullable): GRegex, searched in the names of tensors behind the model's prefix: tensors that the files do
 *   not hold, such as tokenizers; ends with NULL. Core leaves them out without a word; end() may warn
 * @takes_bias: layer() plans the bias of an encoded layer, too. The layer then has the component QCONV_BIAS if the
 *   model has a bias for it, which does not come to keep()
 */
#define QCONV_ANY_HINT "*"
#define QCONV_COMPONENT_MAIN "main"
typedef struct _QconvWriter QconvWriter;
struct _QconvWriter {
  const char *id, *summary;
  const QconvOption *options;
  const char *container;
  const char *suffix;
  const char *reader;
  const char *const *spellings;
  const QconvTarget *targets;
  gboolean (*layer) (const QconvWriter *self, QconvOutput *o, const QconvLayer *layer, GError **error);
  gboolean (*keep) (const QconvWriter *self, QconvOutput *o, const QconvLayer *tensor, GError **error);
  gboolean (*end) (const QconvWriter *self, QconvOutput *o, GError **error);
  const char *const *hints;
  const char *component;
  gboolean takes_bias;
  QconvDType (*plain_type) (const QconvWriter *self, const QconvOutput *o, const char *name, const QconvShape *shape,
                            QconvDType dtype, gboolean bare);
  const char *const *left_out;
  gconstpointer reserved[3];
};
G_END_DECLS
