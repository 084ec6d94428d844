/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Merges LoRA files: lora-merge.c attaches the changes of each to the mapped layers, which add them when they are
   loaded. The plan calls qconv_loras_apply(). */
#include "lora/lora.h"

#include "layer/compose.h"
#include "layer/delta.h"
#include "lora/lora-merge.h"

/* @files: (element-type LoraFile): the layers of the mapping read them; @dialects outlives them */
struct _Loras {
  GPtrArray *files;
  LoraDialects *dialects;
};

void
qconv_loras_free (Loras *l)
{
  g_ptr_array_unref (l->files);
  g_clear_pointer (&l->dialects, qconv_lora_dialects_free);
  g_free (l);
}

static void
free_list (gpointer data)
{
  g_ptr_array_unref (data);
}

/* ---- One file ---- */

static gboolean
merge_tensors (Baking *b, GError **error)
{
  const LoraFile *f = b->file;

  for (guint i = 0; i < f->unknown->len; i++)
    if (!qconv_lora_merge_whole (b, g_ptr_array_index (f->unknown, i), error))
      return FALSE;
  for (guint i = 0; i < f->groups->len; i++)
    if (!qconv_lora_merge_group (b, g_ptr_array_index (f->groups, i), error))
      return FALSE;
  return qconv_lora_report (f, &b->counts, b->job, error);
}

static gboolean
merge_file (Baking *b, GError **error)
{
  gboolean ok;

  b->counts = (LoraCounts) { .misfit = NULL };
  for (guint i = 0; i < LORA_N_LEFT_OUT; i++)
    b->counts.left_out[i] = g_ptr_array_new ();
  b->changed = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  ok = merge_tensors (b, error);
  g_hash_table_unref (b->changed);
  for (guint i = 0; i < LORA_N_LEFT_OUT; i++)
    g_ptr_array_unref (b->counts.left_out[i]);
  g_clear_pointer (&b->counts.misfit, g_free);
  return ok;
}

/* ---- All files ---- */

/* Notes that @layer has rows of the claimed layer @of */
static void
add_user (Baking *b, const SourceLayer *of, SourceLayer *layer)
{
  GPtrArray *list = g_hash_table_lookup (b->users, of);

  if (list == NULL)
    g_hash_table_insert (b->users, (gpointer) of, list = g_ptr_array_new ());
  if (!g_ptr_array_find (list, layer, NULL))
    g_ptr_array_add (list, layer);
}

static void
add_users (Baking *b, SourceLayer *layer)
{
  if (layer->parts == NULL)
    add_user (b, layer, layer);
  for (guint i = 0; layer->parts != NULL && i < layer->sources->len; i++)
    add_user (b, g_ptr_array_index (layer->sources, i), layer);
}

static void
replace_layers (const Baking *b, Mapping *x)
{
  for (guint i = 0; i < x->layers->len; i++)
    {
      const SourceLayer *s = g_ptr_array_index (x->layers, i);
      GPtrArray *deltas = g_hash_table_lookup (b->sums, s);
      SourceLayer *sum;

      if (deltas == NULL)
        continue;
      sum = qconv_compose_sum (s, g_ptr_array_ref (deltas));
      g_hash_table_insert (x->originals, sum, g_strdup (qconv_mapping_original (x, s)));
      g_ptr_array_add (x->composed, sum);
      g_ptr_array_index (x->layers, i) = sum;
    }
}

static gboolean
merge_files (Baking *b, Loras *l, GError **error)
{
  for (const char *const *text = b->job->files; *text != NULL; text++)
    {
      LoraFile *f = qconv_lora_file_open (*text, l->dialects, error);

      if (f == NULL)
        return FALSE;
      g_ptr_array_add (l->files, f);
      b->file = f;
      if (!merge_file (b, error))
        {
          g_prefix_error (error, "--lora %s: ", f->path);
          return FALSE;
        }
      qconv_lora_report_alpha (f, l->dialects, b->job);
    }
  return TRUE;
}

Loras *
qconv_loras_apply (const LoraJob *job, const QconvModel *m, Mapping *x, GError **error)
{
  g_autoptr (Loras) l = g_new0 (Loras, 1);
  Baking b = { .job = job };
  gboolean ok;

  l->files = g_ptr_array_new_with_free_func ((GDestroyNotify) qconv_lora_file_free);
  l->dialects = qconv_lora_dialects_load (error);
  if (l->dialects == NULL)
    return NULL;
  b.names = qconv_lora_names_new (m, x, l->dialects);
  b.users = g_hash_table_new_full (NULL, NULL, NULL, free_list);
  b.sums = g_hash_table_new_full (NULL, NULL, NULL, free_list);
  for (guint i = 0; i < x->layers->len; i++)
    add_users (&b, g_ptr_array_index (x->layers, i));
  ok = merge_files (&b, l, error);
  if (ok)
    replace_layers (&b, x);
  g_hash_table_unref (b.users);
  g_hash_table_unref (b.sums);
  qconv_lora_names_free (b.names);
  return ok ? g_steal_pointer (&l) : NULL;
}

void
qconv_loras_list_files (const Loras *l, GPtrArray *paths)
{
  for (guint i = 0; i < l->files->len; i++)
    {
      const LoraFile *f = g_ptr_array_index (l->files, i);

      qconv_source_list_files (f->model->source, paths);
      if (f->beside != NULL)
        g_ptr_array_add (paths, g_strdup (f->beside));
    }
}
