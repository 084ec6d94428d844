/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Plans the tensors of a GGUF file. ComfyUI-GGUF decodes blocks only in linear layers, convolutions, embeddings and some
   norms, and BF16 nowhere else either (ops.py): every other tensor is F32. */
#include "writer.h"

#include <string.h>

#include "gguf-keys.h"
#include "qconv-plugin.h"
#include "targets.h"
#include "types.h"

/* Weights with no more items than this are F32: they cost nothing. */
#define SMALL 1024
/* general.quantization_version of all block types (ggml: docs/gguf.md). */
#define QUANTIZATION_VERSION 2

#define BLOCKS(id, name, scheme, items, bytes, ...) { #scheme, { name, items, bytes } },
static const struct {
  const char *scheme;
  QconvBlockType type;
} block_types[] = { GGUF_BLOCK_TYPES (BLOCKS) };

static const QconvBlockType *
find_blocks (const char *scheme)
{
  for (guint i = 0; i < G_N_ELEMENTS (block_types); i++)
    if (strcmp (block_types[i].scheme, scheme) == 0)
      return &block_types[i].type;
  return NULL;
}

static gboolean
write_layer (const QconvWriter *self, QconvOutput *o, const QconvLayer *layer, GError **error)
{
  const QconvComponent *scale = qconv_layer_component (layer, "tensor_scale");
  QconvPlanned blocks
      = { .dtype = QCONV_OPAQUE, .shape = layer->shape, .from = "blocks", .blocks = find_blocks (layer->scheme) };
  QconvPlanned side = { .dtype = QCONV_F32, .from = "tensor_scale" };

  if (!qconv_output_add (o, layer, ".weight", &blocks, error))
    return FALSE;
  if (scale == NULL)
    return TRUE;
  side.shape = scale->shape;
  return qconv_output_add (o, layer, ".scale", &side, error);
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
plain_type (const QconvWriter *self, const QconvOutput *o, const char *name, const QconvShape *shape, QconvDType dtype)
{
  guint64 items = 0;

  if ((shape->rank != 2 && shape->rank != 4) || !g_str_has_suffix (name, ".weight")
      || !qconv_shape_items (shape, &items) || items <= SMALL)
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

static gboolean
set_architecture (QconvOutput *o, GError **error)
{
  const char *option = qconv_values_string (qconv_output_options (o), "architecture");
  const char *known = qconv_output_fact (o, "architecture"), *family = qconv_output_fact (o, "family");

  if (option != NULL && *option != '\0')
    known = option;
  if (known == NULL && family == NULL)
    return qconv_fail (error, QCONV_ERROR_OPTION,
                       "loaders of GGUF ask for an architecture, and nothing is known of this model: name one with "
                       "-o architecture=WORD");
  if (known == NULL)
    qconv_output_warn (o,
                       "no word for the architecture of %s is agreed on: \"%s\" is written; ComfyUI-GGUF takes such "
                       "models with -o architecture=flux",
                       family, family);
  qconv_output_set_metadata (o, GGUF_ARCHITECTURE, known != NULL ? known : family);
  return TRUE;
}

/* States @n under the key that follows the architecture, unless the input stated it. */
static void
set_number (QconvOutput *o, const char *key, gint64 n)
{
  g_autofree char *full = g_strconcat (qconv_output_fact (o, "architecture"), key, NULL);

  if (n > 0 && n <= G_MAXUINT32 && qconv_directory_metadata (qconv_output_input (o), full) == NULL)
    qconv_output_set_metadata_value (o, full, g_variant_new_uint32 ((guint32) n));
}

static gint64
number_of (const QconvOutput *o, const char *dimension)
{
  const char *text = qconv_output_fact (o, dimension);

  return text != NULL ? g_ascii_strtoll (text, NULL, 10) : 0;
}

/* States the heads of a language model, by which readers restore the order of rows. */
static void
set_heads (QconvOutput *o)
{
  gint64 rows = number_of (o, "q"), head = number_of (o, "head_dim");

  if (qconv_output_fact (o, "architecture") == NULL || head <= 0 || rows <= 0 || rows % head != 0)
    return;
  set_number (o, GGUF_HEAD_COUNT, rows / head);
  set_number (o, GGUF_KEY_LENGTH, head);
  set_number (o, GGUF_BLOCK_COUNT, number_of (o, "layers"));
}

static gboolean
end (const QconvWriter *self, QconvOutput *o, GError **error)
{
  gint file_type = qconv_gguf_file_type (qconv_output_target (o));

  drop_metadata (o);
  if (!set_architecture (o, error))
    return FALSE;
  set_heads (o);
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
  { .name = NULL },
};

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
};
