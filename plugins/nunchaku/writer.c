/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The writer: plans the tensors of SVDQuant layers and of the AWQ modulation layers beside them (nunchaku:
   nunchaku/models/linear.py). */
#include <string.h>

#include "classes.h"
#include "config.h"
#include "load.h"
#include "nunchaku.h"
#include "output-metadata.h"
#include "pack.h"
#include "packing.h"

static gboolean
is_svdq (const QconvLayer *l)
{
  return g_str_equal (l->scheme, nunchaku_svdq_fp4.id) || g_str_equal (l->scheme, nunchaku_svdq_int4.id);
}

static gboolean
is_fp4 (const QconvLayer *l)
{
  return g_str_equal (l->scheme, nunchaku_svdq_fp4.id);
}

/* Returns the run of a packed tensor that has @row_bytes for each row, in whole blocks. */
static QconvRun
block_run (gsize row_bytes)
{
  return (QconvRun) { NUNCHAKU_BLOCK, NUNCHAKU_BLOCK * row_bytes };
}

/* Returns the number of the file that holds the tensors called @name or beginning so: of a folder, the first has the
   blocks (deepcompressor/backend/nunchaku/convert.py). */
static guint32
file_of (const QconvOutput *o, const char *name)
{
  return nunchaku_is_folder (o) && !g_str_has_prefix (name, "transformer_blocks.")
         && !g_str_has_prefix (name, "single_transformer_blocks.");
}

/* The layer whose tensors are planned */
typedef struct {
  QconvOutput *o;
  const QconvLayer *layer;
  const NunchakuClass *class_;
} Planning;

static gboolean
add (const Planning *p, NunchakuMember member, const QconvPlanned *planned, GError **error)
{
  QconvPlanned placed = *planned;

  placed.file = file_of (p->o, p->layer->name);
  return qconv_output_add (p->o, p->layer, nunchaku_member_name (member, p->class_->spelling), &placed, error);
}

/* ---- SVDQuant layers ---- */

static gboolean
add_codes (const Planning *p, GError **error)
{
  guint64 rows = p->layer->rows, cols = p->layer->cols;
  gsize groups = (gsize) cols / (is_fp4 (p->layer) ? NUNCHAKU_GROUP_FP4 : NUNCHAKU_GROUP_INT4);
  const QconvPlanned codes = { .dtype = QCONV_I8,
                               .shape = QCONV_SHAPE2 (rows, cols / 2),
                               .from = "codes",
                               .pack = nunchaku_pack_codes,
                               .run = block_run ((gsize) cols / 2),
                               .load = nunchaku_load_codes };
  const QconvPlanned fp4_scales = { .dtype = QCONV_F8_E4M3,
                                    .shape = QCONV_SHAPE2 (groups, rows),
                                    .from = "block_scale",
                                    .pack = nunchaku_pack_block_scale,
                                    .run = block_run (groups),
                                    .load = nunchaku_load_block_scale };
  const QconvPlanned int4_scales = { .dtype = QCONV_BF16,
                                     .shape = QCONV_SHAPE2 (groups, rows),
                                     .from = "group_scale",
                                     .pack = nunchaku_pack_groups,
                                     .run = block_run (groups * sizeof (guint16)),
                                     .load = nunchaku_load_numbers };

  return add (p, NUNCHAKU_QWEIGHT, &codes, error)
         && add (p, NUNCHAKU_WSCALES, is_fp4 (p->layer) ? &fp4_scales : &int4_scales, error);
}

/* Adds the outer scales: those of rows, and that of the tensor. As deepcompressor, writes the latter as
   one for each row if the layer is fused (deepcompressor/backend/nunchaku/convert.py). The class for SDXL takes no
   other (nunchaku: nunchaku/models/unets/unet_sdxl.py). */
static gboolean
add_outer_scales (const Planning *p, GError **error)
{
  gboolean row_scale = qconv_layer_component (p->layer, "row_scale") != NULL;
  gboolean tensor_scale = qconv_layer_component (p->layer, "tensor_scale") != NULL;
  gboolean only_rows = p->class_->row_scales && is_fp4 (p->layer);
  gboolean repeats = !row_scale && (only_rows || (tensor_scale && nunchaku_name_fused (p->layer->name)));
  const QconvPlanned rows = { .dtype = QCONV_BF16,
                              .shape = QCONV_SHAPE1 (p->layer->rows),
                              .from = row_scale      ? "row_scale"
                                      : tensor_scale ? "tensor_scale"
                                                     : NULL,
                              .pack = repeats ? nunchaku_pack_repeated : nunchaku_pack_rows,
                              .run = block_run (sizeof (guint16)),
                              .load = repeats ? NULL : nunchaku_load_numbers };
  const QconvPlanned one = { .dtype = QCONV_BF16, .shape = QCONV_SHAPE1 (1), .from = "tensor_scale" };

  if (only_rows && row_scale && tensor_scale)
    return qconv_fail (
        error, QCONV_ERROR_UNSUPPORTED,
        "%s: it has a scale for the tensor beside those of rows, but nunchaku's class %s takes only these",
        p->layer->name, p->class_->name);
  if ((row_scale || repeats) && !add (p, NUNCHAKU_WCSCALES, &rows, error))
    return FALSE;
  return !tensor_scale || repeats || add (p, NUNCHAKU_WTSCALE, &one, error);
}

static gboolean
add_vectors (const Planning *p, GError **error)
{
  gboolean orig = qconv_layer_component (p->layer, "smooth_orig") != NULL;
  const QconvPlanned smooth = { .dtype = QCONV_BF16,
                                .shape = QCONV_SHAPE1 (p->layer->cols),
                                .from = "smooth",
                                .pack = nunchaku_pack_columns,
                                .load = nunchaku_load_numbers };
  QconvPlanned smooth_orig = smooth;

  smooth_orig.from = orig ? "smooth_orig" : "smooth";
  return add (p, NUNCHAKU_SMOOTH, &smooth, error) && add (p, NUNCHAKU_SMOOTH_ORIG, &smooth_orig, error);
}

static gboolean
add_factors (const Planning *p, GError **error)
{
  guint64 rank = (guint64) qconv_values_int (p->layer->values, "rank");
  const QconvPlanned down = { .dtype = QCONV_BF16,
                              .shape = QCONV_SHAPE2 (p->layer->cols, rank),
                              .from = "lora_down",
                              .pack = nunchaku_pack_down,
                              .load = nunchaku_load_down };
  const QconvPlanned up = { .dtype = QCONV_BF16,
                            .shape = QCONV_SHAPE2 (p->layer->rows, rank),
                            .from = "lora_up",
                            .pack = nunchaku_pack_up,
                            .run = block_run ((gsize) rank * sizeof (guint16)),
                            .load = nunchaku_load_up };

  return add (p, NUNCHAKU_DOWN, &down, error) && add (p, NUNCHAKU_UP, &up, error);
}

static gboolean
add_bias (const Planning *p, GError **error)
{
  gboolean shifted = !is_fp4 (p->layer) && nunchaku_name_shifted (p->layer->name);
  const QconvPlanned bias = { .dtype = QCONV_BF16,
                              .shape = QCONV_SHAPE1 (p->layer->rows),
                              .pack = shifted ? nunchaku_pack_shifted_bias : nunchaku_pack_bias,
                              .run = block_run (sizeof (guint16)) };

  return (!p->class_->biases && qconv_layer_component (p->layer, QCONV_BIAS) == NULL)
         || add (p, NUNCHAKU_BIAS, &bias, error);
}

static gboolean
write_svdq (const Planning *p, GError **error)
{
  if (nunchaku_name_chunks (p->layer->name) > 0)
    return qconv_fail (error, QCONV_ERROR_UNSUPPORTED, "%s: nunchaku has modulation layers only in AWQ",
                       p->layer->name);
  if (p->layer->rows % NUNCHAKU_BLOCK != 0 || p->layer->cols % NUNCHAKU_BLOCK != 0)
    return qconv_fail (error, QCONV_ERROR_UNSUPPORTED,
                       "%s: nunchaku's kernels take rows and columns in multiples of %d, not %" G_GUINT64_FORMAT
                       " × %" G_GUINT64_FORMAT,
                       p->layer->name, NUNCHAKU_BLOCK, p->layer->rows, p->layer->cols);
  return add_codes (p, error) && add_outer_scales (p, error) && add_bias (p, error) && add_vectors (p, error)
         && add_factors (p, error);
}

/* ---- Modulation layers ---- */

static gboolean
write_modulation (const Planning *p, GError **error)
{
  guint64 rows = p->layer->rows, cols = p->layer->cols;
  guint chunks = nunchaku_name_chunks (p->layer->name);
  g_autoptr (GBytes) data = nunchaku_pack_chunks (chunks);
  const QconvShape groups = QCONV_SHAPE2 (cols / NUNCHAKU_GROUP_INT4, rows);
  const QconvPlanned codes = { .dtype = QCONV_I32,
                               .shape = QCONV_SHAPE2 (rows / NUNCHAKU_AWQ_ROWS, cols / 2),
                               .from = "codes",
                               .pack = nunchaku_pack_awq_codes,
                               .run = { rows, rows * (cols / 2) },
                               .data = data,
                               .load = nunchaku_load_awq_codes };
  QconvPlanned numbers = { .dtype = QCONV_BF16,
                           .shape = groups,
                           .from = "scale",
                           .pack = nunchaku_pack_awq_numbers,
                           .data = data,
                           .load = nunchaku_load_awq_scale };
  const QconvPlanned bias
      = { .dtype = QCONV_BF16, .shape = QCONV_SHAPE1 (rows), .pack = nunchaku_pack_awq_bias, .data = data };

  if (qconv_values_int (p->layer->values, "group") != NUNCHAKU_GROUP_INT4
      || qconv_values_int (p->layer->values, "centre") != 0)
    return qconv_fail (error, QCONV_ERROR_UNSUPPORTED, "%s: nunchaku takes AWQ only with the group %d and the centre 0",
                       p->layer->name, NUNCHAKU_GROUP_INT4);
  if (chunks == 0 || rows % chunks != 0 || rows % (2 * NUNCHAKU_AWQ_ROWS) != 0 || cols % NUNCHAKU_GROUP_INT4 != 0)
    return qconv_fail (error, QCONV_ERROR_UNSUPPORTED,
                       "%s: nunchaku takes AWQ only for modulation layers, with rows in multiples of %d and columns in "
                       "multiples of %d",
                       p->layer->name, 2 * NUNCHAKU_AWQ_ROWS, NUNCHAKU_GROUP_INT4);
  if (!add (p, NUNCHAKU_QWEIGHT, &codes, error) || !add (p, NUNCHAKU_WSCALES, &numbers, error))
    return FALSE;
  numbers.from = "zero";
  return add (p, NUNCHAKU_WZEROS, &numbers, error) && add (p, NUNCHAKU_BIAS, &bias, error);
}

static gboolean
write_layer (const QconvWriter *self, QconvOutput *o, const QconvLayer *layer, GError **error)
{
  const Planning p = { o, layer, nunchaku_class (o, error) };
  g_autofree char *weight = g_strconcat (layer->name, ".weight", NULL);
  gboolean svdq = is_svdq (layer);

  if (p.class_ == NULL)
    return FALSE;
  if (!nunchaku_class_quantizes (p.class_, weight))
    return qconv_fail (error, QCONV_ERROR_UNSUPPORTED, "%s: nunchaku has this layer only as plain numbers",
                       layer->name);
  if (!svdq && !g_str_equal (layer->scheme, "awq"))
    return qconv_fail (error, QCONV_ERROR_UNSUPPORTED, "%s: nunchaku does not load the scheme %s", layer->name,
                       layer->scheme);
  if (!g_str_equal (qconv_values_string (layer->values, "scale-dtype"), "bf16"))
    return qconv_fail (
        error, QCONV_ERROR_UNSUPPORTED,
        "%s: its scales are %s, but files are written in BF16 only; -o %s.scale-dtype=bf16 encodes it again",
        layer->name, qconv_values_string (layer->values, "scale-dtype"), layer->scheme);
  return svdq ? write_svdq (&p, error) : write_modulation (&p, error);
}

/* ---- Plain tensors ---- */

/* Refuses weights that the class has only in 4 bits. Casts floats: loaders want one type in the whole file (nunchaku:
   nunchaku/utils.py patch_scale_key). */
static gboolean
keep (const QconvWriter *self, QconvOutput *o, const QconvLayer *tensor, GError **error)
{
  const NunchakuClass *c = nunchaku_class (o, error);
  gboolean cast = tensor->dtype == QCONV_F64 || tensor->dtype == QCONV_F32 || tensor->dtype == QCONV_F16
                  || tensor->dtype == QCONV_F8_E4M3 || tensor->dtype == QCONV_F8_E5M2;
  QconvPlanned planned
      = { .dtype = tensor->dtype, .shape = tensor->shape, .from = "weight", .file = file_of (o, tensor->name) };

  if (c == NULL)
    return FALSE;
  if (tensor->shape.rank == 2 && nunchaku_class_quantizes (c, tensor->name))
    return qconv_fail (error, QCONV_ERROR_UNSUPPORTED,
                       "%s: nunchaku has no class with this layer as plain numbers, so it cannot be kept%s",
                       tensor->name,
                       c->skip_refiners != NULL && strstr (tensor->name, "_refiner.") != NULL
                           ? "; --names nunchaku_refiners keeps all refiners"
                           : "");
  if (cast)
    planned.dtype = QCONV_BF16;
  if (cast && tensor->rows > 0 && tensor->cols > 0)
    {
      planned.pack = nunchaku_pack_plain;
      planned.run = (QconvRun) { 1, tensor->cols * sizeof (guint16) };
    }
  return qconv_output_add (o, tensor, "", &planned, error);
}

/* ---- The whole file ---- */

/* Collects what the metadata say about all layers. Fails if they differ: there is one precision and one rank (nunchaku:
   nunchaku/utils.py). */
static gboolean
find_quantization (const QconvOutput *o, NunchakuQuantization *q, GError **error)
{
  const QconvLayer *first = NULL;

  for (guint i = 0; i < qconv_output_n_layers (o); i++)
    {
      const QconvLayer *l = qconv_output_layer (o, i);

      if (!is_svdq (l))
        continue;
      if (first == NULL)
        first = l;
      if (!g_str_equal (l->scheme, first->scheme)
          || qconv_values_int (l->values, "rank") != qconv_values_int (first->values, "rank"))
        return qconv_fail (error, QCONV_ERROR_UNSUPPORTED,
                           "%s is %s of rank %" G_GINT64_FORMAT ", but %s is %s of rank %" G_GINT64_FORMAT
                           ": a file has one scheme and one rank",
                           first->name, first->scheme, qconv_values_int (first->values, "rank"), l->name, l->scheme,
                           qconv_values_int (l->values, "rank"));
    }
  if (first == NULL)
    return qconv_fail (error, QCONV_ERROR_UNSUPPORTED, "no layer would be quantized: nunchaku loads no such file");
  q->fp4 = is_fp4 (first);
  q->rank = qconv_values_int (first->values, "rank");
  return TRUE;
}

static gboolean
end (const QconvWriter *self, QconvOutput *o, GError **error)
{
  const NunchakuClass *c = nunchaku_class (o, error);
  const char *prefix = qconv_output_fact (o, "prefix");
  NunchakuQuantization q = { 0 };

  if (prefix != NULL && *prefix != '\0')
    return qconv_fail (error, QCONV_ERROR_OPTION,
                       "names would begin with \"%s\", but nunchaku loads the diffusion model alone: leave out "
                       "--component and --names",
                       prefix);
  qconv_output_inherit_metadata (o);
  return c != NULL && find_quantization (o, &q, error) && nunchaku_set_metadata (o, c, &q, error);
}

static const QconvRoleScheme roles[] = {
  { "modulation", "awq", "group=64,centre=0,scale-dtype=bf16" },
  { NULL },
};

static const QconvTarget targets[] = {
  { .name = "svdq-fp4",
    .summary = N_ ("SVDQuant in NVFP4 for RTX 50 cards: 4.5 bits a weight and a low-rank product"),
    .scheme = "svdq_fp4",
    .roles = roles,
    .complete = TRUE,
    .file_name = "svdq-fp4_r{rank}-{stem}" },
  { .name = "svdq-int4",
    .summary = N_ ("SVDQuant in INT4 for RTX 20 to 40 cards: 4.3 bits a weight and a low-rank product"),
    .scheme = "svdq_int4",
    .roles = roles,
    .complete = TRUE,
    .file_name = "svdq-int4_r{rank}-{stem}" },
  { .name = NULL },
};

static const QconvOption options_table[] = {
  { .name = "config",
    .type = QCONV_FILE,
    .value = "",
    .help
    = N_ ("config.json of the model for the metadata; without it, the one beside the input, else one made from the "
          "dimensions of the model") },
  { .name = "folder",
    .type = QCONV_BOOLEAN,
    .value = "off",
    .help = N_ ("write the folder that older versions load instead of one file: transformer_blocks.safetensors, "
                "unquantized_layers.safetensors, config.json and comfy_config.json; only FLUX.1") },
  { .name = NULL },
};

const QconvWriter nunchaku_writer = {
  .id = "nunchaku",
  .summary = N_ ("SVDQuant files for nunchaku and ComfyUI-nunchaku"),
  .options = options_table,
  .container = "safetensors",
  .suffix = ".safetensors",
  .reader = "nunchaku",
  .spellings = (const char *const[]) { "nunchaku", "nunchaku_refiners", NULL },
  .targets = targets,
  .layer = write_layer,
  .keep = keep,
  .end = end,
  .component = "diffusion",
  .takes_bias = TRUE,
};
