/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Feeds plans to SHA-256, text by text. What plugins keep to themselves (data of bindings and of pack functions)
   follows from the rest. run/resume.c calls it. */
#include "plan/plan-digest.h"

#include <errno.h>
#include <glib/gstdio.h>
#include <string.h>

#include "base/checksum-map.h"
#include "base/error.h"
#include "io/source.h"
#include "layer/delta.h"
#include "registry/values.h"

/* First bytes of an input that count */
enum { HEAD = 1 << 16 };

/* Feeds one text. Its NUL keeps it apart from the next one */
static void G_GNUC_PRINTF (2, 3) feed (GChecksum *c, const char *format, ...)
{
  g_autofree char *text = NULL;
  va_list args;

  va_start (args, format);
  text = g_strdup_vprintf (format, args);
  va_end (args);
  g_checksum_update (c, (const guchar *) text, (gssize) strlen (text) + 1);
}

static void
feed_bytes (GChecksum *c, GBytes *bytes)
{
  gsize n = 0;
  const guchar *data = bytes != NULL ? g_bytes_get_data (bytes, &n) : NULL;

  feed (c, "%" G_GSIZE_FORMAT, n);
  if (n > 0)
    g_checksum_update (c, data, (gssize) n);
}

/* @v: (nullable) */
static void
feed_values (GChecksum *c, const QconvValues *v)
{
  g_autofree char *text = v != NULL ? qconv_values_text (v) : g_strdup ("");

  feed (c, "%s", text);
}

static void
feed_tensor (GChecksum *c, const QconvTensor *t)
{
  g_autofree char *shape = qconv_shape_to_string (&t->shape);

  feed (c, "%s", t->name);
  feed (c, "%s %d %u %" G_GUINT64_FORMAT " %" G_GUINT64_FORMAT " %d", shape, (int) t->dtype, t->file, t->offset,
        t->n_bytes, t->big_endian);
}

/* ---- The program ---- */

static void
feed_program (GChecksum *c)
{
  const GPtrArray *modules = qconv_registry_modules ();

  feed (c, "%s", qconv_version ());
  for (guint i = 0; i < modules->len; i++)
    {
      const QconvModule *m = g_ptr_array_index (modules, i);
      GStatBuf st = { 0 }; /* a plugin of the program itself is no file */

      if (m->plugin == NULL)
        continue;
      if (g_stat (m->path, &st) != 0)
        st.st_size = 0;
      feed (c, "%s", m->name);
      feed (c, "%" G_GINT64_FORMAT " %" G_GINT64_FORMAT, (gint64) st.st_size, (gint64) st.st_mtime);
    }
}

/* ---- The inputs ---- */

static gboolean
feed_file (GChecksum *c, const char *path, GError **error)
{
  g_autofree guint8 *head = NULL;
  g_autoptr (QconvSource) s = NULL;
  GStatBuf st;
  gsize n;

  if (g_file_test (path, G_FILE_TEST_IS_DIR)) /* its files are listed, too */
    return TRUE;
  s = qconv_source_open (path, error);
  if (s == NULL)
    return FALSE;
  if (g_stat (path, &st) != 0)
    return qconv_fail_by_errno (error, errno, path);
  n = (gsize) MIN (qconv_source_size (s), HEAD);
  head = g_malloc (n + 1);
  if (!qconv_source_read (s, 0, n, head, error))
    return FALSE;
  feed (c, "%" G_GUINT64_FORMAT " %" G_GINT64_FORMAT ".%09ld", qconv_source_size (s), (gint64) st.st_mtim.tv_sec,
        (long) st.st_mtim.tv_nsec);
  g_checksum_update (c, head, (gssize) n);
  return TRUE;
}

static gint
compare_paths (gconstpointer a, gconstpointer b)
{
  return strcmp (*(const char *const *) a, *(const char *const *) b);
}

static gboolean
feed_inputs (GChecksum *c, const QconvPlan *p, GError **error)
{
  g_autoptr (GPtrArray) files = g_ptr_array_new_with_free_func (g_free);
  gboolean ok = TRUE;

  qconv_source_list_files (p->model->source, files);
  g_ptr_array_sort (files, compare_paths); /* siblings have no order */
  for (guint i = 0; ok && i < files->len; i++)
    ok = feed_file (c, g_ptr_array_index (files, i), error);
  for (guint i = 0; ok && i < p->inputs->len; i++)
    ok = feed_file (c, g_ptr_array_index (p->inputs, i), error);
  return ok;
}

/* ---- The plan ---- */

/* The check of an earlier run may have changed how a plain layer is cut into rows, but not its shape */
static void
feed_layer (GChecksum *c, const Layer *l)
{
  g_autofree char *shape = qconv_shape_to_string (&l->pub.shape);

  feed (c, "%s", l->name);
  feed (c, "%s %d %s", l->scheme, (int) l->pub.dtype, shape);
  feed (c, "%s %u", l->pub.role != NULL ? l->pub.role : "", l->pub.n_parts);
  feed_values (c, l->values);
}

static void
feed_claimed (GChecksum *c, const SourceLayer *s)
{
  feed_layer (c, s->layer);
  feed (c, "%s", s->reader != NULL ? s->reader->id : "");
  for (guint i = 0; i < s->bindings->len; i++)
    {
      const Binding *b = g_ptr_array_index (s->bindings, i);

      feed (c, "%s", b->component);
      for (guint k = 0; g_ptr_array_index (b->tensors, k) != NULL; k++)
        feed_tensor (c, g_ptr_array_index (b->tensors, k));
    }
}

static void
feed_delta (GChecksum *c, const Delta *d)
{
  feed (c, "%d %a %" G_GUINT64_FORMAT " %" G_GUINT64_FORMAT, (int) d->kind, (double) d->scale, d->rows, d->cols);
  for (guint i = 0; i < d->runs->len; i++)
    {
      const DeltaRun *r = &g_array_index (d->runs, DeltaRun, i);

      feed (c, "%" G_GUINT64_FORMAT " %" G_GUINT64_FORMAT " %" G_GUINT64_FORMAT, r->to, r->from, r->n);
      feed (c, "%" G_GUINT64_FORMAT " %" G_GUINT64_FORMAT " %" G_GUINT64_FORMAT, r->to_col, r->from_col, r->n_cols);
    }
  for (guint i = 0; i < G_N_ELEMENTS (d->factors); i++)
    if (d->factors[i] != NULL)
      feed_claimed (c, d->factors[i]);
}

static void
feed_source (GChecksum *c, const SourceLayer *s)
{
  if (s->sources == NULL)
    {
      feed_claimed (c, s);
      return;
    }
  for (guint i = 0; i < s->sources->len; i++)
    feed_claimed (c, g_ptr_array_index (s->sources, i));
  for (guint i = 0; i < s->parts->len; i++)
    {
      const Part *x = &g_array_index (s->parts, Part, i);

      feed (c, "%u %" G_GUINT64_FORMAT " %" G_GUINT64_FORMAT " %" G_GUINT64_FORMAT " %d", x->source, x->first,
            x->stride, x->n, x->transposed);
      feed (c, "%" G_GUINT64_FORMAT " %" G_GUINT64_FORMAT " %" G_GUINT64_FORMAT, x->column, x->skip, x->width);
    }
  for (guint i = 0; s->deltas != NULL && i < s->deltas->len; i++)
    feed_delta (c, g_ptr_array_index (s->deltas, i));
}

static void
feed_planned (GChecksum *c, const PlannedLayer *l)
{
  feed_layer (c, l->layer);
  feed (c, "%d %d %d", (int) l->how, l->copies, l->finite);
  feed (c, "%a", l->has_input_scale ? (double) l->input_scale : -1);
  feed_source (c, l->source);
  if (l->bias != NULL)
    feed_source (c, l->bias);
}

static void
feed_output (GChecksum *c, const QconvOutput *o)
{
  const char *const *keys = qconv_directory_metadata_keys (o->directory);

  feed_values (c, o->options);
  for (guint i = 0; keys[i] != NULL; i++)
    if (strcmp (keys[i], QCONV_CHECKSUMS) != 0) /* a run fills them in */
      {
        g_autofree char *value = g_variant_print (qconv_directory_metadata (o->directory, keys[i]), TRUE);

        feed (c, "%s", keys[i]);
        feed (c, "%s", value);
      }
  for (guint i = 0; i < o->layers->len; i++)
    feed_planned (c, g_ptr_array_index (o->layers, i));
  for (guint i = 0; i < o->tensors->len; i++)
    {
      const PlannedTensor *t = g_ptr_array_index (o->tensors, i);

      feed_tensor (c, qconv_planned_tensor (o, t));
      feed (c, "%d %d %s", t->component, (int) t->dtype, t->layer != NULL ? t->layer->layer->name : "");
      feed_bytes (c, t->pack == NULL ? t->data : NULL);
      if (t->copied != NULL)
        feed_tensor (c, t->copied);
    }
}

static void
feed_plan (GChecksum *c, const QconvPlan *p)
{
  const GArray *participants = p->model->participants;

  feed (c, "%s", p->target->name);
  feed (c, "%d %d", p->allow_nonfinite, p->checksums);
  for (guint i = 0; i < p->files->len; i++)
    {
      const PlannedFile *f = qconv_plan_file (p, i);
      g_autofree char *name = g_path_get_basename (f->path);

      feed (c, "%s", name);
      feed (c, "%" G_GUINT64_FORMAT " %u", f->layout.file_size, f->layout.header->len);
    }
  for (guint i = 0; i < participants->len; i++)
    {
      const Participant *x = &g_array_index (participants, Participant, i);

      feed (c, "%s", x->id);
      feed_values (c, x->values);
    }
  feed_output (c, &p->output);
}

char *
qconv_plan_digest (const QconvPlan *p, DigestPart part, GError **error)
{
  g_autoptr (GChecksum) c = g_checksum_new (G_CHECKSUM_SHA256);

  if (part == DIGEST_PROGRAM)
    feed_program (c);
  else if (part == DIGEST_PLAN)
    feed_plan (c, p);
  else if (!feed_inputs (c, p, error))
    return NULL;
  return g_strdup (g_checksum_get_string (c));
}
