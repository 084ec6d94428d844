/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Compares the metadata with what loaders read of them and with the tensors (nunchaku: nunchaku/utils.py,
   nunchaku/models/transformers; ComfyUI-nunchaku: nodes/models/flux.py). */
#include <string.h>

#include "check.h"
#include "packing.h"

/* What nunchaku assumes of a file that does not say it */
#define USUAL_RANK 32
#define CONFIG "config"
#define QUANTIZATION "quantization_config"
#define COMFY "comfy_config"
#define MODEL_CLASS "model_class"
#define MODEL_CONFIG "model_config"

/* ---- Reading ---- */

/* Returns: (transfer full) (nullable): the JSON object under @key of the metadata. @broken: (nullable): set if there is
   a value that is none */
static GVariant *
read_object (const QconvDirectory *d, const char *key, gboolean *broken)
{
  GVariant *value = qconv_directory_metadata (d, key);
  g_autoptr (GVariant) json = NULL;
  const char *text;
  gboolean good;

  if (value == NULL)
    return NULL;
  text = g_variant_is_of_type (value, G_VARIANT_TYPE_STRING) ? g_variant_get_string (value, NULL) : "";
  json = qconv_json_parse (text, strlen (text), NULL);
  good = json != NULL && g_variant_is_of_type (json, G_VARIANT_TYPE_VARDICT);
  if (broken != NULL)
    *broken = !good;
  return good ? g_steal_pointer (&json) : NULL;
}

/**
 * Stated: what "quantization_config" says about all layers.
 *
 * @missing, @broken: there is none, or it is no JSON object
 * @has_rank: (nullable): FALSE: it has no rank; @odd_rank: it has one that is no whole number
 * @rank: 0: not known
 * @weights: (nullable): type of the weights, "int4" or "fp4_e2m1_all"
 * @group: of the weights; 0: not known
 * @skips: Z-Image: "skip_refiners"
 */
typedef struct {
  gboolean missing, broken, has_rank, odd_rank, skips;
  gint64 rank, group;
  char *weights;
} Stated;

static void
clear_stated (Stated *s)
{
  g_free (s->weights);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Stated, clear_stated)

static void
read_stated (const QconvDirectory *d, Stated *s)
{
  g_autoptr (GVariant) json = read_object (d, QUANTIZATION, &s->broken), weight = NULL, rank = NULL;

  s->missing = json == NULL && !s->broken;
  if (json == NULL)
    return;
  rank = g_variant_lookup_value (json, "rank", NULL);
  s->has_rank = rank != NULL;
  s->odd_rank = rank != NULL && !g_variant_is_of_type (rank, G_VARIANT_TYPE_INT64);
  if (s->has_rank && !s->odd_rank)
    s->rank = g_variant_get_int64 (rank);
  g_variant_lookup (json, "skip_refiners", "b", &s->skips);
  weight = g_variant_lookup_value (json, "weight", G_VARIANT_TYPE_VARDICT);
  if (weight == NULL)
    return;
  g_variant_lookup (weight, "dtype", "s", &s->weights);
  g_variant_lookup (weight, "group_size", "x", &s->group);
}

/* ---- Layers ---- */

/* Adds one line to the warnings of claims or to the problems of a file. */
typedef struct {
  QconvClaims *claims;
  QconvProblems *problems;
} Report;

static void G_GNUC_PRINTF (4, 5) report (const Report *r, const char *layer, const char *code, const char *format, ...)
{
  g_autofree char *text = NULL;
  va_list args;

  va_start (args, format);
  text = g_strdup_vprintf (format, args);
  va_end (args);
  if (r->claims != NULL)
    qconv_claims_warn_each (r->claims, layer, code, "%s", text);
  else
    qconv_problems_add (r->problems, layer, code, "%s", text);
}

/* Compares one SVDQuant layer with the metadata. */
static void
compare (const NunchakuLook *l, const Stated *s, const Report *r)
{
  const char *found = l->kind == NUNCHAKU_FP4 ? "fp4_e2m1_all" : "int4";
  gint64 rank = s->rank != 0 ? s->rank : USUAL_RANK;

  if (l->kind == NUNCHAKU_AWQ)
    return;
  if (s->weights != NULL && strcmp (s->weights, found) != 0)
    report (r, l->name, "precision", "its tensors are %s, but quantization_config states %.32s", found, s->weights);
  if (l->rank != (guint64) rank)
    report (r, l->name, "rank",
            "its factors have the rank %" G_GUINT64_FORMAT ", but quantization_config %s %" G_GINT64_FORMAT, l->rank,
            s->rank != 0 ? "states" : "has none, which means", rank);
}

static void
compare_all (const GPtrArray *looks, const Stated *s, const Report *r)
{
  for (guint i = 0; i < looks->len; i++)
    if (((const NunchakuLook *) g_ptr_array_index (looks, i))->troubles->len == 0)
      compare (g_ptr_array_index (looks, i), s, r);
}

/* Reports a key of the metadata that is no JSON object or, if @needed_by is not NULL, is not there. */
static void
require_object (const QconvDirectory *d, const char *key, const char *needed_by, const Report *r)
{
  gboolean broken = FALSE;
  g_autoptr (GVariant) json = read_object (d, key, &broken);

  if (broken)
    report (r, NULL, "metadata", "%s is not a JSON object", key);
  else if (json == NULL && needed_by != NULL)
    report (r, NULL, "metadata", "the metadata have no %s, without which %s loads no single file", key, needed_by);
}

void
nunchaku_warn_of_metadata (const QconvDirectory *d, const GPtrArray *looks, QconvClaims *claims)
{
  const Report r = { .claims = claims };
  g_auto (Stated) s = { 0 };

  read_stated (d, &s);
  require_object (d, CONFIG, "nunchaku", &r);
  require_object (d, QUANTIZATION, "nunchaku", &r);
  compare_all (looks, &s, &r);
}

/* ---- quantization_config ---- */

/* Checks type and group of the weights: loaders know two pairs (nunchaku/utils.py,
   get_precision_from_quantization_config). */
static void
check_weights (const Stated *s, QconvProblems *problems)
{
  gboolean fp4 = g_strcmp0 (s->weights, "fp4_e2m1_all") == 0, int4 = g_strcmp0 (s->weights, "int4") == 0;
  gint64 group = fp4 ? NUNCHAKU_GROUP_FP4 : NUNCHAKU_GROUP_INT4;

  if (s->weights == NULL)
    qconv_problems_add (problems, NULL, "precision", QUANTIZATION " has no weight.dtype, which loaders read");
  else if (!fp4 && !int4)
    qconv_problems_add (problems, NULL, "precision",
                        QUANTIZATION " states weight.dtype %.32s; loaders know int4 and fp4_e2m1_all", s->weights);
  else if (s->group != group)
    qconv_problems_add (problems, NULL, "precision",
                        QUANTIZATION " states weight.group_size %" G_GINT64_FORMAT " where %s needs %" G_GINT64_FORMAT,
                        s->group, s->weights, group);
}

static gboolean
has_usual_rank (const GPtrArray *looks)
{
  for (guint i = 0; i < looks->len; i++)
    {
      const NunchakuLook *l = g_ptr_array_index (looks, i);

      if (l->kind != NUNCHAKU_AWQ && l->rank != USUAL_RANK)
        return FALSE;
    }
  return TRUE;
}

static void
check_rank (const NunchakuFile *f, const Stated *s, QconvProblems *problems)
{
  if (s->odd_rank)
    qconv_problems_add (problems, NULL, "rank", "the rank in " QUANTIZATION " is not a whole number");
  else if (!s->has_rank && has_usual_rank (f->looks))
    qconv_problems_warn_each (problems, NULL, "rank", QUANTIZATION " has no rank, so that loaders assume %d",
                              USUAL_RANK);
  else if (s->has_rank && (s->rank < NUNCHAKU_FACTOR || s->rank > NUNCHAKU_LARGEST_RANK || s->rank % NUNCHAKU_FACTOR))
    qconv_problems_add (problems, NULL, "rank",
                        "the rank %" G_GINT64_FORMAT " in " QUANTIZATION " is no multiple of %d up to %d", s->rank,
                        NUNCHAKU_FACTOR, NUNCHAKU_LARGEST_RANK);
}

static void
check_quantization (const NunchakuFile *f, QconvProblems *problems)
{
  g_auto (Stated) s = { 0 };

  read_stated (f->directory, &s);
  if (!s.missing && !s.broken)
    {
      check_weights (&s, problems);
      check_rank (f, &s, problems);
      if (f->model == NUNCHAKU_Z_IMAGE && s.skips != f->skips_refiners)
        qconv_problems_add (problems, NULL, "refiners",
                            QUANTIZATION " states that the refiners are %squantized, but %s", s.skips ? "not " : "",
                            f->skips_refiners ? "they are not" : "they are");
    }
  compare_all (f->looks, &s, &(Report) { .problems = problems });
}

/* ---- Dimensions of FLUX.1 ---- */

typedef enum { DEPTH, SINGLE_DEPTH, HEAD_DIM, HEADS, WIDTH, IN, OUT, CONTEXT, POOLED, HAS_GUIDANCE, N_DIMS } Dim;

/* Fields that loaders read: of "config", where an absent field has a default (transformer_flux.py), and of
   "model_config" in "comfy_config", where it must be there. @per: the field is the dimension divided by it: ComfyUI
   counts channels before the 2 × 2 patches */
#define REQUIRED (-1)
static const struct {
  gboolean comfy;
  const char *name;
  Dim dim;
  guint per;
  gint64 usual;
} fields[] = {
  { FALSE, "num_layers", DEPTH, 1, 19 },
  { FALSE, "num_single_layers", SINGLE_DEPTH, 1, 38 },
  { FALSE, "attention_head_dim", HEAD_DIM, 1, 128 },
  { FALSE, "num_attention_heads", HEADS, 1, 24 },
  { FALSE, "in_channels", IN, 1, 64 },
  { FALSE, "out_channels", OUT, 1, 0 }, /* the default is in_channels */
  { FALSE, "joint_attention_dim", CONTEXT, 1, 4096 },
  { FALSE, "pooled_projection_dim", POOLED, 1, 768 },
  { FALSE, "guidance_embeds", HAS_GUIDANCE, 1, 0 },
  { TRUE, "depth", DEPTH, 1, REQUIRED },
  { TRUE, "depth_single_blocks", SINGLE_DEPTH, 1, REQUIRED },
  { TRUE, "num_heads", HEADS, 1, REQUIRED },
  { TRUE, "hidden_size", WIDTH, 1, REQUIRED },
  { TRUE, "in_channels", IN, 4, REQUIRED },
  { TRUE, "out_channels", OUT, 4, REQUIRED },
  { TRUE, "context_in_dim", CONTEXT, 1, REQUIRED },
  { TRUE, "vec_in_dim", POOLED, 1, REQUIRED },
  { TRUE, "guidance_embed", HAS_GUIDANCE, 1, REQUIRED },
};

/* Takes the dimensions from the tensors. 0: the tensor is missing, which is another problem; for counts of blocks and
   for the guidance it means that there are none. */
static void
measure (const NunchakuFile *f, guint64 dims[N_DIMS])
{
  dims[DEPTH] = nunchaku_file_blocks (f, "transformer_blocks.");
  dims[SINGLE_DEPTH] = nunchaku_file_blocks (f, "single_transformer_blocks.");
  dims[HEAD_DIM] = nunchaku_file_extent (f, "transformer_blocks.0.norm_q.weight", 0);
  dims[WIDTH] = f->width;
  dims[HEADS] = dims[HEAD_DIM] > 0 ? dims[WIDTH] / dims[HEAD_DIM] : 0;
  dims[IN] = nunchaku_file_extent (f, "x_embedder.weight", 1);
  dims[OUT] = nunchaku_file_extent (f, "proj_out.weight", 0);
  dims[CONTEXT] = nunchaku_file_extent (f, "context_embedder.weight", 1);
  dims[POOLED] = nunchaku_file_extent (f, "time_text_embed.text_embedder.linear_1.weight", 1);
  dims[HAS_GUIDANCE] = qconv_directory_find (f->directory, "time_text_embed.guidance_embedder.linear_1.weight") != NULL;
}

/* Sets @value to the number or truth value @name of @json. Returns FALSE if it is another value, and sets @absent if it
   is absent or null. */
static gboolean
read_number (GVariant *json, const char *name, gint64 *value, gboolean *absent)
{
  g_autoptr (GVariant) v = g_variant_lookup_value (json, name, NULL);
  gboolean truth;

  *absent = v == NULL || g_variant_is_of_type (v, G_VARIANT_TYPE ("mv"));
  if (*absent)
    return TRUE;
  if (g_variant_is_of_type (v, G_VARIANT_TYPE_INT64))
    *value = g_variant_get_int64 (v);
  else if (g_variant_is_of_type (v, G_VARIANT_TYPE_BOOLEAN))
    {
      truth = g_variant_get_boolean (v);
      *value = truth;
    }
  else
    return FALSE;
  return TRUE;
}

static void
check_field (GVariant *json, guint i, const guint64 dims[N_DIMS], QconvProblems *problems)
{
  const char *object = fields[i].comfy ? MODEL_CONFIG : CONFIG, *name = fields[i].name;
  gboolean counted = fields[i].dim == DEPTH || fields[i].dim == SINGLE_DEPTH || fields[i].dim == HAS_GUIDANCE, absent;
  guint64 want = dims[fields[i].dim] / fields[i].per;
  gint64 value = 0;

  if (!read_number (json, name, &value, &absent))
    qconv_problems_add (problems, NULL, "config", "%s of %s is not a whole number", name, object);
  else if (absent && fields[i].usual == REQUIRED)
    qconv_problems_add (problems, NULL, "config", "%s has no %s, which ComfyUI needs", object, name);
  else if (want == 0 && !counted)
    return;
  else if (absent && (guint64) fields[i].usual != want && !(fields[i].dim == OUT && want == dims[IN]))
    qconv_problems_add (problems, NULL, "config",
                        "%s has no %s, which means %" G_GINT64_FORMAT ", but the tensors make it %" G_GUINT64_FORMAT,
                        object, name, fields[i].dim == OUT ? (gint64) dims[IN] : fields[i].usual, want);
  else if (!absent && (value < 0 || (guint64) value != want))
    qconv_problems_add (problems, NULL, "config",
                        "%s of %s is %" G_GINT64_FORMAT ", but the tensors make it %" G_GUINT64_FORMAT, name, object,
                        value, want);
}

static void
check_fields (const NunchakuFile *f, GVariant *json, gboolean comfy, QconvProblems *problems)
{
  guint64 dims[N_DIMS];

  measure (f, dims);
  for (guint i = 0; i < G_N_ELEMENTS (fields); i++)
    if (fields[i].comfy == comfy)
      check_field (json, i, dims, problems);
}

/* ---- comfy_config ---- */

/* Checks what the node of ComfyUI for FLUX.1 reads; it makes ComfyUI's own model of "model_config". */
static void
check_comfy (const NunchakuFile *f, QconvProblems *problems)
{
  g_autoptr (GVariant) json = read_object (f->directory, COMFY, NULL), config = NULL;
  g_autofree char *class = NULL;

  require_object (f->directory, COMFY, "ComfyUI's node for FLUX.1", &(Report) { .problems = problems });
  if (json == NULL)
    return;
  g_variant_lookup (json, MODEL_CLASS, "s", &class);
  if (g_strcmp0 (class, "Flux") != 0 && g_strcmp0 (class, "FluxSchnell") != 0)
    qconv_problems_add (problems, NULL, "config", "%s states %s %.32s where ComfyUI needs Flux or FluxSchnell", COMFY,
                        MODEL_CLASS, class != NULL ? class : "nothing");
  config = g_variant_lookup_value (json, MODEL_CONFIG, G_VARIANT_TYPE_VARDICT);
  if (config == NULL)
    qconv_problems_add (problems, NULL, "config", COMFY " has no object " MODEL_CONFIG ", which ComfyUI needs");
  else if (*f->prefix == '\0')
    check_fields (f, config, TRUE, problems);
}

/* ---- All ---- */

/* Notes which GPUs take the file. nunchaku decides by the GPU which kind it loads (nunchaku/utils.py,
   check_hardware_compatibility). */
static void
note_hardware (const GPtrArray *looks, QconvProblems *problems)
{
  guint fp4 = 0, int4 = 0;

  for (guint i = 0; i < looks->len; i++)
    {
      const NunchakuLook *l = g_ptr_array_index (looks, i);

      fp4 += l->kind == NUNCHAKU_FP4;
      int4 += l->kind == NUNCHAKU_INT4 && l->rank > 0;
    }
  if (fp4 > 0 && int4 == 0)
    qconv_problems_note (problems, "FP4: for GPUs with the compute capability 12.0 or 12.1");
  else if (int4 > 0 && fp4 == 0)
    qconv_problems_note (problems, "INT4: for GPUs with the compute capability 7.5, 8.0, 8.6 or 8.9");
}

void
nunchaku_check_metadata (const NunchakuFile *f, QconvProblems *problems)
{
  const QconvDirectory *d = f->directory;
  const Report r = { .problems = problems };
  g_autoptr (GVariant) config = read_object (d, CONFIG, NULL);

  require_object (d, CONFIG, "nunchaku", &r);
  require_object (d, QUANTIZATION, "nunchaku", &r);
  require_object (d, "full_config", NULL, &r);
  if (qconv_directory_metadata (d, MODEL_CLASS) == NULL)
    qconv_problems_warn_each (problems, NULL, "metadata",
                              "the metadata have no " MODEL_CLASS ", which nunchaku's own tools write");
  check_quantization (f, problems);
  if (f->model == NUNCHAKU_FLUX && *f->prefix == '\0' && config != NULL)
    check_fields (f, config, FALSE, problems);
  if (f->model == NUNCHAKU_FLUX)
    check_comfy (f, problems);
  note_hardware (f->looks, problems);
}
