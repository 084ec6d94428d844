/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Plans the tensors of a GGUF file. ComfyUI-GGUF decodes blocks only in linear layers, convolutions, embeddings and
   some norms, and BF16 nowhere else either (ops.py): every other tensor is F32. */
#include "writer.h"

#include <string.h>

#include "gguf-keys.h"
#include "load.h"
#include "qconv-plugin.h"
#include "repack.h"
#include "targets.h"
#include "text-writer.h"
#include "types.h"

/* The bias of attention in T5, which loaders add as it is (llama.cpp never quantizes it). */
#define ATTENTION_BIAS "attn_rel_b.weight"
/* Weights with no more items than this are F32: they cost nothing. */
#define SMALL 1024
/* general.quantization_version of all block types (ggml: docs/gguf.md). */
#define QUANTIZATION_VERSION 2

/**
 * Form: how blocks of a scheme are stored.
 *
 * @component: the one from which the tensor follows the rows
 * @pack: makes blocks of all components
 * @load: undoes it
 */
typedef struct {
  const char *scheme;
  QconvBlockType type;
  const char *component;
  QconvPackFunc pack;
  QconvLoadFunc load;
} Form;

#define LOAD(id) ((id) == GGUF_MXFP4 || (id) == GGUF_NVFP4 ? qconv_gguf_load_checked_blocks : qconv_gguf_load_blocks)
#define FORM(id, name, scheme, items, bytes, ...) \
  { #scheme, { name, items, bytes }, "blocks", qconv_gguf_pack_blocks, LOAD (id) },
static const Form forms[] = {
  GGUF_BLOCK_TYPES (FORM)
  /* Edits keep layers in the schemes that the reader gave them */
  { "mxfp4", { "MXFP4", 32, 17 }, "codes", qconv_gguf_pack_mxfp4, qconv_gguf_load_mxfp4_codes },
  { "nvfp4", { "NVFP4", 64, 36 }, "codes", qconv_gguf_pack_nvfp4, qconv_gguf_load_nvfp4_codes },
};

static const Form *
find_form (const char *scheme)
{
  for (guint i = 0; i < G_N_ELEMENTS (forms); i++)
    if (strcmp (forms[i].scheme, scheme) == 0)
      return &forms[i];
  return NULL;
}

/* Returns whether the weight is stored in its own shape: whole blocks follow its last axis, and the input does not
   store it as a matrix, whose rows are others. */
static gboolean
keeps_shape (const QconvOutput *o, const QconvLayer *layer, const QconvBlockType *type, const char *key)
{
  const QconvShape *shape = &layer->shape;

  return shape->rank > 0 && shape->dim[shape->rank - 1] % type->items == 0
         && qconv_directory_metadata (qconv_output_input (o), key) == NULL;
}

/* States the shape of a tensor that is stored as a matrix. ComfyUI-GGUF wants an array of i32 (loader.py:
   get_orig_shape). */
static gboolean
set_true_shape (QconvOutput *o, const QconvLayer *layer, const char *key, GError **error)
{
  gint32 dims[QCONV_MAX_RANK];

  for (guint i = 0; i < layer->shape.rank; i++)
    {
      if (layer->shape.dim[i] > G_MAXINT32)
        return qconv_fail (error, QCONV_ERROR_UNSUPPORTED, "layer \"%s\": its shape does not fit numbers of 32 bits",
                           layer->name);
      dims[i] = (gint32) layer->shape.dim[i];
    }
  qconv_output_set_metadata_value (
      o, key, g_variant_new_fixed_array (G_VARIANT_TYPE_INT32, dims, layer->shape.rank, sizeof *dims));
  return TRUE;
}

/* Adds the F32 numbers of the component @from, which stand beside the weight. The scale that the reader gives to NVFP4
   weights without one is not written: only edits have the scheme "nvfp4" here. */
static gboolean
write_side (QconvOutput *o, const QconvLayer *layer, const char *from, const char *suffix, GError **error)
{
  const QconvComponent *c = qconv_layer_component (layer, from);
  QconvPlanned side = { .dtype = QCONV_F32, .from = from };

  if (c == NULL
      || (g_str_equal (layer->scheme, "nvfp4")
          && qconv_directory_find2 (qconv_output_input (o), layer->name, suffix) == NULL))
    return TRUE;
  side.shape = c->shape.rank == 0 ? QCONV_SHAPE1 (1) : c->shape;
  return qconv_output_add (o, layer, suffix, &side, error);
}

static gboolean
write_layer (const QconvWriter *self, QconvOutput *o, const QconvLayer *layer, GError **error)
{
  const Form *f = find_form (layer->scheme);
  g_autofree char *key = g_strconcat (GGUF_ORIG_SHAPE, layer->name, ".weight", NULL);
  gboolean whole = keeps_shape (o, layer, &f->type, key);
  QconvPlanned blocks = { .dtype = QCONV_OPAQUE,
                          .shape = whole ? layer->shape : QCONV_SHAPE2 (layer->rows, layer->cols),
                          .from = f->component,
                          .pack = f->pack,
                          .run = { 1, layer->cols / f->type.items * f->type.bytes },
                          .load = f->load,
                          .blocks = &f->type };

  return (whole || set_true_shape (o, layer, key, error)) && qconv_output_add (o, layer, ".weight", &blocks, error)
         && write_side (o, layer, "tensor_scale", ".scale", error)
         && write_side (o, layer, "input_scale", ".input_scale", error);
}

/* ---- Plain tensors ---- */

/* Returns the type that the user or the target wants for plain weights; QCONV_OPAQUE: that of the source. */
static QconvDType
wanted_type (const QconvOutput *o)
{
  const char *option = qconv_values_string (qconv_output_options (o), "keep-type");
  const char *word = g_str_equal (option, "auto") ? qconv_output_target (o) : option;

  if (g_str_equal (word, "f32"))
    return QCONV_F32;
  if (g_str_equal (word, "f16"))
    return QCONV_F16;
  return g_str_equal (word, "bf16") ? QCONV_BF16 : QCONV_OPAQUE;
}

/* Returns the type of a plain weight of @dtype with two or four axes. */
static QconvDType
weight_type (const QconvOutput *o, QconvDType dtype)
{
  QconvDType wanted = wanted_type (o);

  if (wanted != QCONV_OPAQUE)
    return wanted;
  if (dtype == QCONV_F64)
    return QCONV_F32;
  return dtype == QCONV_F32 || dtype == QCONV_BF16 ? dtype : QCONV_F16;
}

static QconvDType
plain_type (const QconvWriter *self, const QconvOutput *o, const char *name, const QconvShape *shape, QconvDType dtype,
            gboolean bare)
{
  guint64 items = 0;

  if (bare || g_str_has_suffix (name, ATTENTION_BIAS) || (shape->rank != 2 && shape->rank != 4)
      || !g_str_has_suffix (name, ".weight") || !qconv_shape_items (shape, &items) || items <= SMALL)
    return QCONV_F32;
  return weight_type (o, dtype);
}

/* ---- Metadata ---- */

/* Removes what would be wrong in a GGUF file: hashes of other bytes, and what only safetensors files have. */
static void
drop_metadata (QconvOutput *o)
{
  static const char *const stale[] = { "format", "modelspec.hash_sha256", "sshs_model_hash", "sshs_legacy_hash", NULL };

  for (guint i = 0; stale[i] != NULL; i++)
    qconv_output_set_metadata (o, stale[i], NULL);
}

/* ComfyUI-GGUF refuses words that it does not know, and looks at names where there is none (loader.py). */
static gboolean
set_architecture (QconvOutput *o, GError **error)
{
  const char *option = qconv_values_string (qconv_output_options (o), "architecture");
  const char *word = qconv_output_fact (o, "architecture"), *family = qconv_output_fact (o, "family");
  gboolean diffusion = g_strcmp0 (qconv_output_fact (o, "kind"), "diffusion") == 0;

  if (option != NULL && *option != '\0')
    word = option;
  else if (word == NULL && family == NULL)
    {
      qconv_output_warn (o, "nothing is known of this model, so the file states no architecture, and loaders must "
                            "know the model by its names; -o architecture=WORD states one");
      return TRUE;
    }
  else if (family != NULL && !diffusion && g_strcmp0 (qconv_output_fact (o, "naming"), "llama.cpp") != 0)
    return qconv_fail (error, QCONV_ERROR_UNSUPPORTED,
                       "loaders of GGUF know no %s by these names; leave it in safetensors, or state what it is with "
                       "-o architecture=WORD",
                       family);
  else if (word == NULL)
    {
      qconv_output_warn (o,
                         "no word for the architecture of %s is agreed on: \"%s\" is written; ComfyUI-GGUF takes "
                         "such models with -o architecture=flux",
                         family, family);
      word = family;
    }
  qconv_output_set_metadata (o, GGUF_ARCHITECTURE, word);
  return TRUE;
}

/* Gives an edited file the keys that describe it, which the reader keeps from other outputs. */
static void
keep_form (QconvOutput *o)
{
  const QconvDirectory *input = qconv_output_input (o);
  const char *const *keys = qconv_directory_metadata_keys (input);

  for (guint i = 0; keys[i] != NULL; i++)
    if (g_str_equal (keys[i], GGUF_FILE_TYPE) || g_str_equal (keys[i], GGUF_QUANTIZATION_VERSION)
        || g_str_has_prefix (keys[i], GGUF_COMFY))
      qconv_output_set_metadata_value (o, keys[i], qconv_directory_metadata (input, keys[i]));
}

static gboolean
end (const QconvWriter *self, QconvOutput *o, GError **error)
{
  gint file_type = qconv_gguf_file_type (qconv_output_target (o));

  if (g_str_equal (qconv_output_target (o), "edit"))
    {
      keep_form (o);
      return TRUE;
    }
  drop_metadata (o);
  if (!set_architecture (o, error) || !qconv_gguf_end_text (o, error))
    return FALSE;
  qconv_output_set_metadata_value (o, GGUF_QUANTIZATION_VERSION, g_variant_new_uint32 (QUANTIZATION_VERSION));
  if (file_type >= 0)
    qconv_output_set_metadata_value (o, GGUF_FILE_TYPE, g_variant_new_uint32 ((guint32) file_type));
  return TRUE;
}

static const QconvOption options[] = {
  { .name = "architecture",
    .type = QCONV_STRING,
    .value = "",
    .help = N_ ("general.architecture of the file; without it, the word that loaders know for the model") },
  { .name = "keep-type",
    .type = QCONV_CHOICE,
    .value = "auto",
    .choices = (const char *const[]) { "auto", "f32", "f16", "bf16", NULL },
    .help
    = N_ ("type of weights that stay plain; auto: as in the input, F16 for 8 bits. Vectors, parameters and tensors "
          "of small or unusual shape are F32") },
  { .name = "tokenizer",
    .type = QCONV_FILE,
    .help = N_ ("GGUF file of a text encoder from which the tokenizer is copied") },
  { .name = NULL },
};

/* Tokenizers, which GGUF files hold as metadata, and the parts of text encoders that see pictures, which are files of
   their own (ComfyUI-GGUF loader.py: gguf_mmproj_loader) */
static const char *const left_out[] = { "^(spiece_model|tekken_model|tokenizer_json)$",
                                        "^(visual|vision_model|vision_tower|multi_modal_projector|v|mm)\\.", NULL };

const QconvWriter qconv_gguf_writer = {
  .id = "gguf",
  .summary = N_ ("GGUF files for ComfyUI-GGUF, stable-diffusion.cpp and diffusers"),
  .options = options,
  .container = "gguf",
  .suffix = ".gguf",
  .reader = "gguf",
  .spellings = (const char *const[]) { "llama.cpp", "original", NULL },
  .targets = qconv_gguf_targets,
  .layer = write_layer,
  .plain_type = plain_type,
  .end = end,
  .component = QCONV_COMPONENT_MAIN,
  .left_out = left_out,
};
