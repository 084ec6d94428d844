/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The reader: claims block tensors as layers, and gives plain tensors the names and shapes that the model knows. */
#include "reader.h"

#include <string.h>

#include "gguf-keys.h"
#include "load.h"
#include "shape.h"
#include "types.h"

#define PREFIX "model.diffusion_model."
#define WEIGHT ".weight"
#define FRAMES "v.patch_embd.weight"

/**
 * Claiming: one run of claim().
 *
 * @strip: names lose PREFIX, and tensors without it are left out
 */
typedef struct {
  const QconvDirectory *directory;
  QconvClaims *claims;
  gboolean strip;
} Claiming;

/**
 * Block: a block tensor while it is claimed.
 *
 * @shape: as the model has it; @reshaped: the file stores another one
 * @rows, @cols: as stored
 * @scale, @input_scale: (nullable): tensors beside an NVFP4 weight
 */
typedef struct {
  const QconvTensor *tensor;
  const GgufType *type;
  QconvShape shape;
  gboolean reshaped;
  guint64 rows, cols;
  const QconvTensor *scale, *input_scale;
} Block;

static guint
score (const QconvReader *self, const QconvDirectory *d)
{
  return strcmp (qconv_directory_container (d), "gguf") == 0 ? 100 : 0;
}

static gboolean
any_prefix (const QconvDirectory *d)
{
  for (guint i = 0; i < qconv_directory_n_tensors (d); i++)
    if (g_str_has_prefix (qconv_directory_tensor (d, i)->name, PREFIX))
      return TRUE;
  return FALSE;
}

static const char *
name_of (const Claiming *c, const QconvTensor *t)
{
  return t->name + (c->strip ? strlen (PREFIX) : 0);
}

/* Returns the length of @name without ".weight" at its end. */
static gsize
stem_length (const char *name)
{
  gsize n = strlen (name), tail = strlen (WEIGHT);

  return n > tail && strcmp (name + n - tail, WEIGHT) == 0 ? n - tail : n;
}

/* Finds a tensor beside an NVFP4 weight X.weight: llama.cpp stores its second scale in X.scale and a calibrated scale
   of the inputs in X.input_scale. */
static const QconvTensor *
find_side (const Claiming *c, const Block *b, const char *suffix)
{
  gsize n = stem_length (b->tensor->name);
  g_autofree char *stem = g_strndup (b->tensor->name, n);

  return b->tensor->name[n] != '\0' ? qconv_directory_find2 (c->directory, stem, suffix) : NULL;
}

/* Checks that a scale @t (nullable) is F32 and holds one number, or one for each of @most matrices. */
static gboolean
check_side (const QconvTensor *t, guint64 most, GError **error)
{
  guint64 n;

  if (t == NULL)
    return TRUE;
  if (t->dtype != QCONV_F32)
    return qconv_fail (error, QCONV_ERROR_INPUT, "tensor \"%s\": a scale of type %s, not F32", t->name, t->type);
  if (!qconv_shape_items (&t->shape, &n) || (n != 1 && n != most))
    return qconv_fail (error, QCONV_ERROR_UNSUPPORTED,
                       "tensor \"%s\": %" G_GUINT64_FORMAT " scales do not suit the matrices of its weight", t->name,
                       n);
  return TRUE;
}

static gboolean
find_sides (const Claiming *c, Block *b, GError **error)
{
  guint64 matrices;

  if (b->type->id != GGUF_NVFP4)
    return TRUE;
  matrices = qconv_gguf_matrices (&b->shape, b->cols);
  b->scale = find_side (c, b, ".scale");
  b->input_scale = find_side (c, b, ".input_scale");
  return check_side (b->scale, matrices, error) && check_side (b->input_scale, matrices, error);
}

static void
bind_mxfp4 (const Block *b, QconvClaim *l)
{
  qconv_claim_bind (l, "codes", qconv_gguf_load_mxfp4_codes, b->tensor, NULL);
  qconv_claim_bind (l, "block_scale", qconv_gguf_load_mxfp4_scales, b->tensor, NULL);
}

static void
bind_nvfp4 (const Block *b, QconvClaim *l)
{
  qconv_claim_bind (l, "codes", qconv_gguf_load_nvfp4_codes, b->tensor, NULL);
  qconv_claim_bind (l, "block_scale", qconv_gguf_load_nvfp4_scales, b->tensor, NULL);
  qconv_claim_bind (l, "tensor_scale", b->scale != NULL ? NULL : qconv_gguf_load_one, b->scale, NULL);
  if (b->input_scale != NULL)
    qconv_claim_bind (l, "input_scale", NULL, b->input_scale, NULL);
}

static void
bind_blocks (const Claiming *c, const Block *b, QconvClaim *l)
{
  gboolean check
      = (b->type->id == GGUF_MXFP4 || b->type->id == GGUF_NVFP4) && !qconv_claims_allow_nonfinite (c->claims);

  qconv_claim_bind (l, "blocks", check ? qconv_gguf_load_checked_blocks : qconv_gguf_load_blocks, b->tensor, NULL);
  if (b->scale != NULL)
    {
      guint64 n = 1;

      qconv_shape_items (&b->scale->shape, &n);
      qconv_claim_bind (l, "tensor_scale",
                        n == qconv_gguf_matrices (&b->shape, b->cols) ? NULL : qconv_gguf_load_repeated, b->scale,
                        NULL);
    }
  if (b->input_scale != NULL)
    qconv_claims_drop (c->claims, b->input_scale);
}

/* Returns whether the blocks can become the components of "mxfp4" or "nvfp4". "nvfp4" takes only matrices that are not
   empty; with --allow-nonfinite blocks stay blocks, which decode any scale. */
static gboolean
can_unpack (const Claiming *c, const Block *b)
{
  if (qconv_claims_allow_nonfinite (c->claims))
    return FALSE;
  return b->type->id == GGUF_MXFP4 || (b->type->id == GGUF_NVFP4 && b->shape.rank == 2 && b->rows > 0 && b->cols > 0);
}

static gboolean
measure (const Claiming *c, Block *b, GError **error)
{
  const QconvShape *stored = &b->tensor->shape;

  b->type = qconv_gguf_type_named (b->tensor->type);
  if (b->type == NULL || stored->rank == 0)
    return qconv_fail (error, QCONV_ERROR_BUG, "tensor \"%s\": the container gave it no known block type",
                       b->tensor->name);
  if (!qconv_gguf_true_shape (c->directory, b->tensor, &b->shape, &b->reshaped, error))
    return FALSE;
  b->cols = stored->dim[stored->rank - 1];
  b->rows = 1;
  for (guint i = 0; i + 1 < stored->rank; i++)
    b->rows *= stored->dim[i];
  return TRUE;
}

static gboolean
claim_block (const Claiming *c, const QconvTensor *t, GError **error)
{
  Block b = { .tensor = t };
  const char *name = name_of (c, t);
  g_autofree char *layer = NULL;
  const char *scheme;
  QconvClaim *l;

  if (!measure (c, &b, error) || !find_sides (c, &b, error))
    return FALSE;
  layer = g_strndup (name, stem_length (name));
  scheme = b.type->scheme;
  if (can_unpack (c, &b))
    scheme = b.type->id == GGUF_MXFP4 ? "mxfp4" : "nvfp4";
  l = qconv_claims_layer (c->claims, layer, scheme, NULL, b.rows, b.cols, QCONV_BF16);
  if (scheme == b.type->scheme)
    bind_blocks (c, &b, l);
  else if (b.type->id == GGUF_MXFP4)
    bind_mxfp4 (&b, l);
  else
    bind_nvfp4 (&b, l);
  if (b.reshaped || b.shape.rank != 2)
    qconv_claim_shape (l, &b.shape);
  return TRUE;
}

static gboolean
claim_plain (const Claiming *c, const QconvTensor *t, GError **error)
{
  QconvShape shape;
  gboolean reshaped;

  if (!qconv_gguf_true_shape (c->directory, t, &shape, &reshaped, error))
    return FALSE;
  if (c->strip || reshaped)
    qconv_claims_rename (c->claims, t, c->strip ? name_of (c, t) : NULL, reshaped ? &shape : NULL);
  return TRUE;
}

/* Claims the first kernel of Qwen2.5-VL's vision part. llama.cpp stores the convolution over two frames as two tensors,
   one for each frame; the model has one of shape [out, in, 2, height, width] (ComfyUI-GGUF loader.py:
   gguf_mmproj_loader) */
static void
claim_frames (const Claiming *c)
{
  const QconvTensor *first = qconv_directory_find (c->directory, FRAMES), *second = NULL;
  const guint64 *d;
  QconvShape shape;
  QconvClaim *l;

  if (first != NULL)
    second = qconv_directory_find2 (c->directory, FRAMES, ".1");
  if (second == NULL || first->shape.rank != 4 || !qconv_shape_equal (&first->shape, &second->shape)
      || first->dtype != second->dtype || !qconv_dtype_is_float (first->dtype) || first->big_endian
      || second->big_endian)
    return;
  d = first->shape.dim;
  shape = (QconvShape) { 5, { d[0], d[1], 2, d[2], d[3] } };
  l = qconv_claims_layer (c->claims, FRAMES, "plain", NULL, d[0], 2 * d[1] * d[2] * d[3], first->dtype);
  qconv_claim_shape (l, &shape);
  qconv_claim_bind (l, "weight", qconv_gguf_load_frames, first, second, NULL);
}

/* Claims block tensors first, because they take the scales beside them, which look like plain tensors. */
static gboolean
claim_tensors (const Claiming *c, GError **error)
{
  guint n_dropped = 0, n = qconv_directory_n_tensors (c->directory);

  for (guint pass = 0; pass < 2; pass++)
    for (guint i = 0; i < n; i++)
      {
        const QconvTensor *t = qconv_directory_tensor (c->directory, i);
        gboolean blocks = t->dtype == QCONV_OPAQUE;

        if (blocks != (pass == 0) || qconv_claims_taken (c->claims, t))
          continue;
        if (c->strip && !g_str_has_prefix (t->name, PREFIX))
          {
            qconv_claims_drop (c->claims, t);
            n_dropped++;
          }
        else if (!(blocks ? claim_block : claim_plain) (c, t, error))
          return FALSE;
      }
  if (n_dropped > 0)
    qconv_claims_warn (c->claims, "%u tensors without the prefix " PREFIX " are left out", n_dropped);
  return TRUE;
}

/* Drops the keys that describe the file and not the model. */
static void
drop_keys (const Claiming *c)
{
  static const char *const form[] = { GGUF_ALIGNMENT, GGUF_FILE_TYPE, GGUF_QUANTIZATION_VERSION, NULL };
  const char *const *keys = qconv_directory_metadata_keys (c->directory);

  for (guint i = 0; keys[i] != NULL; i++)
    if (g_strv_contains (form, keys[i]) || g_str_has_prefix (keys[i], GGUF_SPLIT)
        || g_str_has_prefix (keys[i], GGUF_COMFY))
      qconv_claims_drop_metadata (c->claims, keys[i]);
}

static gboolean
claim (const QconvReader *self, const QconvDirectory *d, const QconvValues *options, QconvClaims *claims,
       GError **error)
{
  Claiming c = { .directory = d, .claims = claims };

  c.strip = g_str_equal (qconv_values_string (options, "prefix"), "strip") && any_prefix (d);
  qconv_gguf_check_shape_keys (d, claims);
  drop_keys (&c);
  claim_frames (&c);
  return claim_tensors (&c, error);
}

static const QconvOption options[] = {
  { .name = "prefix",
    .type = QCONV_CHOICE,
    .value = "keep",
    .choices = (const char *const[]) { "keep", "strip", NULL },
    .help
    = N_ ("strip: remove model.diffusion_model. from names and leave out tensors without it, as ComfyUI-GGUF does") },
  { .name = NULL },
};

const QconvReader qconv_gguf_reader = {
  .id = "gguf",
  .summary = N_ ("GGUF block types and the conventions of diffusion models"),
  .options = options,
  .score = score,
  .claim = claim,
};
