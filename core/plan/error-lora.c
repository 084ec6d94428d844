/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Plans the error LoRA: its layers, their names and ranks, the tensors and their places. */
#include "plan/error-lora.h"

#include <string.h>

#include "io/directory.h"
#include "layer/load.h"
#include "layer/tile.h"
#include "lora/dialects.h"
#include "qconv-lowrank.h"

#define ORIGINAL "original"
enum { DEFAULT_RANK = 32, MOST_RANK = QCONV_LOW_RANK_MAX_WIDTH };
/* Columns beyond the rank. They let the last wanted ones converge in few steps */
enum { MORE_COLUMNS = 8 };

/* Splits "FILE[:RANK]" at the last colon. If no digits follow it, the whole @text is the path */
static gboolean
parse (ErrorLora *e, const char *text, GError **error)
{
  const char *colon = strrchr (text, ':');
  gboolean number = colon != NULL && colon[1] != '\0' && strspn (colon + 1, "0123456789") == strlen (colon + 1);
  guint64 rank = DEFAULT_RANK;

  e->path = number ? g_strndup (text, (gsize) (colon - text)) : g_strdup (text);
  if (*e->path == '\0')
    return qconv_fail (error, QCONV_ERROR_OPTION, "--error-lora %s: the name of the file is missing", text);
  if (number && !g_ascii_string_to_unsigned (colon + 1, 10, 1, MOST_RANK, &rank, NULL))
    return qconv_fail (error, QCONV_ERROR_OPTION, "--error-lora %s: the rank is a number from 1 to %d", text,
                       (int) MOST_RANK);
  e->rank = (guint) rank;
  return TRUE;
}

/* Fails if the layers of @p have no names that a LoRA could use */
static gboolean
check_names (const QconvPlan *p, GError **error)
{
  const Mapping *x = p->mapping;
  const char *const *spellings = p->target->writer->spellings;
  const char *kind = x != NULL && qconv_identity_known (x->identity) ? qconv_family_kind (x->identity->family) : NULL;

  if (x == NULL || p->target->quantizer == NULL)
    return qconv_fail (error, QCONV_ERROR_OPTION, "--error-lora: %s encodes no layer, so nothing is lost",
                       p->target->name);
  if (kind != NULL && strcmp (kind, "diffusion") != 0)
    return qconv_fail (error, QCONV_ERROR_OPTION, "--error-lora: only diffusion models take the LoRA, and this is %s",
                       qconv_family_title (x->identity->family));
  return kind == NULL || x->naming == NULL || strcmp (x->naming, ORIGINAL) == 0
         || qconv_fail (error, QCONV_ERROR_OPTION,
                        "--error-lora: the output has %s names, and the keys of a LoRA are made of original ones%s",
                        x->naming, spellings == NULL || g_strv_contains (spellings, ORIGINAL) ? ": see --names" : "");
}

/* Returns whether the error LoRA has @l: an encoded matrix of the model itself */
static gboolean
is_wanted (const QconvPlan *p, const PlannedLayer *l)
{
  const QconvLayer *of = &l->source->layer->pub;

  return l->how == HOW_ENCODE && qconv_planned_is_weight (l) && l->layer->quantizer != NULL
         && qconv_source_layer_has_floats (l->source) && of->shape.rank == 2 && of->rows > 0 && of->cols > 0
         && g_str_has_prefix (l->source->plain_name, p->mapping->prefix);
}

/* Adds a tensor called @stem and @suffix, with the type and shape of @as. Sets @number to its place */
static gboolean
add_tensor (ErrorLora *e, const char *stem, const char *suffix, const QconvTensor *as, guint *number, GError **error)
{
  g_autofree char *name = g_strconcat (stem, suffix, NULL);
  QconvTensor t = *as;

  t.name = name;
  *number = qconv_directory_n_tensors (e->directory);
  t.n_bytes = qconv_dtype_bits (t.dtype) / 8;
  for (guint i = 0; i < t.shape.rank; i++)
    t.n_bytes *= t.shape.dim[i]; /* less than those of the layer's F32 error, which fit */
  return qconv_directory_add (e->directory, &t, error);
}

static gboolean
add_layer (ErrorLora *e, const QconvPlan *p, const PlannedLayer *planned, const LoraWritten *spelling, GError **error)
{
  g_autofree char *stem = g_strconcat (spelling->prefix, qconv_mapping_original (p->mapping, planned->source), NULL);
  guint64 rows = planned->source->layer->pub.rows, cols = planned->source->layer->pub.cols, most = MIN (rows, cols);
  ErrorLoraLayer l = { .planned = planned, .rank = (guint) MIN (e->rank, most) };
  const QconvTensor up = { .dtype = QCONV_BF16, .shape = QCONV_SHAPE2 (rows, l.rank) };
  const QconvTensor down = { .dtype = QCONV_BF16, .shape = QCONV_SHAPE2 (l.rank, cols) };
  const QconvTensor alpha = { .dtype = QCONV_F32 };

  l.width = (guint) MIN (MIN (l.rank + MORE_COLUMNS, QCONV_LOW_RANK_MAX_WIDTH), most);
  if (!add_tensor (e, stem, spelling->up, &up, &l.up, error)
      || !add_tensor (e, stem, spelling->down, &down, &l.down, error)
      || !add_tensor (e, stem, spelling->alpha, &alpha, &l.alpha, error))
    return FALSE;
  g_array_append_val (e->layers, l);
  return TRUE;
}

static gboolean
add_layers (ErrorLora *e, const QconvPlan *p, const LoraWritten *spelling, GError **error)
{
  for (guint i = 0; i < p->output.layers->len; i++)
    {
      const PlannedLayer *l = g_ptr_array_index (p->output.layers, i);

      if (is_wanted (p, l) && !add_layer (e, p, l, spelling, error))
        return FALSE;
    }
  return e->layers->len > 0
         || qconv_fail (error, QCONV_ERROR_OPTION, "--error-lora: no layer is encoded anew, so nothing is lost");
}

static gboolean
lay_out (ErrorLora *e, const LoraWritten *spelling, GError **error)
{
  e->container = spelling->container != NULL ? qconv_registry_container (spelling->container) : NULL;
  if (e->container == NULL || e->container->lay_out == NULL)
    return qconv_fail (error, QCONV_ERROR_NO_PLUGIN, "--error-lora: no loaded plugin writes the container of LoRAs%s%s",
                       spelling->container != NULL ? ", " : "", spelling->container != NULL ? spelling->container : "");
  return qconv_layout_make_whole (&e->layout, e->container, e->directory, error);
}

gboolean
qconv_error_lora_plan (QconvPlan *p, const char *text, GError **error)
{
  g_autoptr (LoraDialects) dialects = NULL;
  ErrorLora *e;

  if (text == NULL)
    return TRUE;
  e = p->error_lora = g_new0 (ErrorLora, 1);
  e->layers = g_array_new (FALSE, FALSE, sizeof (ErrorLoraLayer));
  e->directory = qconv_directory_new (NULL, NULL);
  if (!parse (e, text, error) || !check_names (p, error))
    return FALSE;
  dialects = qconv_lora_dialects_load (error);
  if (dialects == NULL)
    return FALSE;
  return add_layers (e, p, &dialects->written, error) && lay_out (e, &dialects->written, error);
}

void
qconv_error_lora_free (ErrorLora *e)
{
  qconv_layout_clear (&e->layout);
  qconv_directory_free (e->directory);
  g_array_unref (e->layers);
  g_free (e->path);
  g_free (e);
}

gboolean
qconv_plan_error_lora (const QconvPlan *p, QconvErrorLora *lora)
{
  const ErrorLora *e = p->error_lora;

  if (e != NULL)
    *lora = (QconvErrorLora) {
      .path = e->path, .rank = e->rank, .n_layers = e->layers->len, .bytes = e->layout.file_size
    };
  return e != NULL;
}

/* ---- Memory ---- */

gsize
qconv_error_lora_matrices (const ErrorLoraLayer *l)
{
  const QconvLayer *of = &l->planned->source->layer->pub;
  guint64 scratch = qconv_low_rank_scratch (of->rows, of->cols, l->width), matrices;

  matrices = (guint64) (arena_cost ((gsize) (of->rows * of->cols * sizeof (float)))
                        + arena_cost ((gsize) (of->rows * l->width * sizeof (float)))
                        + arena_cost ((gsize) (of->cols * l->width * sizeof (float))));
  return scratch < G_MAXUINT64 / 4 ? (gsize) matrices + arena_cost ((gsize) scratch) : (gsize) (G_MAXUINT64 / 2);
}

/* Returns the bytes of one task: the matrices, the components of both layers, and a tile of both */
static gsize
layer_cost (const ErrorLoraLayer *l)
{
  const Tiling *t = &l->planned->tiling;

  return qconv_error_lora_matrices (l) + t->check_kept_cost + t->check_task_cost
         + qconv_floats_cost (l->planned->source, MAX (t->align, l->planned->source->min_rows), FALSE);
}

gboolean
qconv_error_lora_cost (const ErrorLora *e, const Limits *limits, GError **error)
{
  for (guint i = 0; i < e->layers->len; i++)
    {
      const ErrorLoraLayer *l = &g_array_index (e->layers, ErrorLoraLayer, i);
      g_autoptr (GError) local = NULL;

      if (qconv_cost_check (l->planned->layer->name, layer_cost (l), limits->memory, &local))
        continue;
      g_propagate_prefixed_error (error, g_steal_pointer (&local), "--error-lora: ");
      return FALSE;
    }
  return TRUE;
}

guint64
qconv_error_lora_peak (const ErrorLora *e, const Limits *limits)
{
  guint64 most = 0, sum;

  for (guint i = 0; i < e->layers->len; i++)
    most = MAX (most, layer_cost (&g_array_index (e->layers, ErrorLoraLayer, i)));
  return g_uint64_checked_mul (&sum, most, MIN (limits->n_threads, e->layers->len)) ? sum : G_MAXUINT64;
}
