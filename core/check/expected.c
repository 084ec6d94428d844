/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Compares one file with checksums, and its layers with their references. check.c and verify.c call it. */
#include "check/expected.h"

#include <string.h>

#include "base/checksum-map.h"
#include "check/read-back.h"
#include "layer/hooks.h"

void
qconv_expected_init (Expected *e, const QconvModel *model, QconvReport *report, QconvReport *differences)
{
  *e = (Expected) { .model = model, .report = report, .differences = differences };
  e->same = g_array_new (FALSE, FALSE, sizeof (Pair));
  e->pairs = g_array_new (FALSE, FALSE, sizeof (Pair));
}

void
qconv_expected_clear (Expected *e)
{
  g_clear_pointer (&e->sums, g_hash_table_unref);
  g_clear_pointer (&e->same, g_array_unref);
  g_clear_pointer (&e->pairs, g_array_unref);
}

gboolean
qconv_expected_bound (const SourceLayer *got, double *bound, GError **error)
{
  const Layer *layer = got->layer;

  *bound = -1;
  return layer->quantizer == NULL || layer->quantizer->bound == NULL
         || qconv_call_bound (layer->quantizer, &layer->pub, bound, error);
}

void
qconv_expected_add (Expected *e, const Pair *p)
{
  const SourceLayer *reference = p->reference, *got = p->got;
  gboolean same_shape = qconv_shape_equal (&got->layer->pub.shape, &reference->layer->pub.shape);

  /* The rows of a quantized layer need not be its first axis. A plain tensor of the same shape takes the same rows */
  if (same_shape && qconv_source_layer_tensor (got) != NULL)
    qconv_layer_set_rows (got->layer, reference->layer->pub.rows, reference->layer->pub.cols);
  else if (same_shape && qconv_source_layer_tensor (reference) != NULL && reference->parts == NULL)
    qconv_layer_set_rows (reference->layer, got->layer->pub.rows, got->layer->pub.cols);
  if (got->layer->pub.rows < reference->layer->pub.rows || got->layer->pub.cols < reference->layer->pub.cols)
    qconv_report_problem (e->differences, got->name, "shape", "the layer is smaller than what it was made from");
  else if (reference->layer->pub.rows == 0 || reference->layer->pub.cols == 0)
    qconv_report_layer (e->differences, got->name, got->layer->scheme, 0);
  else
    g_array_append_val (e->pairs, *p);
}

/* Returns: (transfer container): the tensors of the references, or of the layers, that must be the same */
static GPtrArray *
same_tensors (const Expected *e, gboolean references)
{
  GPtrArray *list = g_ptr_array_new ();

  for (guint i = 0; i < e->same->len; i++)
    {
      const Pair *p = &g_array_index (e->same, Pair, i);

      g_ptr_array_add (list, (gpointer) qconv_source_layer_tensor (references ? p->reference : p->got));
    }
  return list;
}

/* Returns: (transfer container): the tensors of the file whose checksums are needed. Those of the layers that must be
   the same come first */
static GPtrArray *
own_tensors (const Expected *e)
{
  GPtrArray *list = same_tensors (e, FALSE);
  g_autoptr (GHashTable) listed = g_hash_table_new (NULL, NULL);

  for (guint i = 0; i < list->len; i++)
    g_hash_table_add (listed, g_ptr_array_index (list, i));
  for (guint i = 0; e->sums != NULL && i < qconv_directory_n_tensors (e->model->directory); i++)
    {
      const QconvTensor *t = qconv_directory_tensor (e->model->directory, i);

      if (!g_hash_table_contains (listed, t))
        g_ptr_array_add (list, (gpointer) t);
    }
  return list;
}

/* Compares the checksums of @tensors with those that were stated */
static void
compare_stated (const Expected *e, const GPtrArray *tensors, const Checksum *found)
{
  g_autoptr (GList) lost = NULL;
  gboolean set = qconv_in_several_files (e->model->directory);

  for (guint i = 0; i < tensors->len; i++)
    {
      const QconvTensor *t = g_ptr_array_index (tensors, i);
      gpointer crc;
      gboolean stated = g_hash_table_lookup_extended (e->sums, t->name, NULL, &crc);

      e->report->n_checksums += stated;
      if (!stated && !set)
        qconv_report_problem (e->report, t->name, "checksum", "nothing states the checksum of this tensor");
      else if (stated && found[i].crc != GPOINTER_TO_UINT (crc))
        qconv_report_problem (e->report, t->name, "checksum",
                              "the bytes are not those that were written: their CRC-32 is %08x instead of %08x",
                              found[i].crc, GPOINTER_TO_UINT (crc));
      g_hash_table_remove (e->sums, t->name);
    }
  lost = g_list_sort (g_hash_table_get_keys (e->sums), (GCompareFunc) strcmp);
  for (const GList *i = lost; i != NULL; i = i->next)
    qconv_report_problem (e->report, i->data, "checksum", "the tensor was written, the file lacks it");
}

/* Compares the checksums of two tensors that must be the same. The numbers of those that differ are compared later */
static void
compare_same (Expected *e, guint i, gboolean equal)
{
  Pair p = g_array_index (e->same, Pair, i);

  p.unequal = !equal;
  if (equal && qconv_source_layer_is_weight (p.got))
    qconv_report_layer (e->differences, p.got->name, p.got->layer->scheme, 0);
  else if (!equal && qconv_source_layer_has_floats (p.got)
           && qconv_shape_equal (&p.got->layer->pub.shape, &p.reference->layer->pub.shape))
    qconv_expected_add (e, &p);
  else if (!equal)
    qconv_report_problem (e->differences, p.got->name, "differs", "the values are not those of the original");
}

static gboolean
compare_sums (Expected *e, const GPtrArray *own, const Limits *limits, Progress *counter, GError **error)
{
  g_autoptr (GPtrArray) references = same_tensors (e, TRUE);
  g_autofree Checksum *found = qconv_read_back (own, limits, counter, error), *wanted = NULL;

  wanted = found != NULL ? qconv_read_back (references, limits, counter, error) : NULL;
  if (wanted == NULL)
    return FALSE;
  if (e->sums != NULL)
    compare_stated (e, own, found);
  for (guint i = 0; i < e->same->len; i++)
    compare_same (e, i, found[i].crc == wanted[i].crc);
  return TRUE;
}

gboolean
qconv_expected_compare (Expected *e, const Limits *limits, const Listener *listener, GError **error)
{
  g_autoptr (GPtrArray) own = own_tensors (e);
  guint64 bytes = qconv_read_back_bytes (own) + qconv_compare_bytes (e->same);
  Progress counter;
  gboolean ok;

  qconv_progress_init (&counter, bytes + qconv_compare_bytes (e->pairs), "checking", listener);
  ok = compare_sums (e, own, limits, &counter, error);
  /* compare_sums() adds those that differ */
  counter.total = bytes + qconv_compare_bytes (e->pairs);
  ok = ok && qconv_compare_pairs (e->pairs, limits, &counter, &(CompareReports) { e->report, e->differences }, error);
  if (ok)
    qconv_progress_finish (&counter);
  qconv_progress_clear (&counter);
  return ok;
}
