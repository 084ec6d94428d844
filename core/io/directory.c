/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The list of tensors and metadata of a file, read or planned. Containers fill it, readers and the plan ask. */
#include "io/directory.h"

#include <string.h>

#include "base/gather.h"
#include "base/names.h"

struct _QconvDirectory {
  char *container;
  QconvSource *source;
  GPtrArray *tensors;  /* QconvTensor, owned */
  GHashTable *by_name; /* name -> QconvTensor */
  GHashTable *metadata;
  char **keys;                    /* sorted, made when asked for */
  GVariant *facts[QCONV_N_FACTS]; /* NULL: unset */
  Gather *warnings;
};

static void
free_tensor (gpointer data)
{
  QconvTensor *t = data;

  g_free ((char *) t->name);
  g_free ((char *) t->type);
  g_free (t);
}

QconvDirectory *
qconv_directory_new (const char *container, QconvSource *source)
{
  QconvDirectory *d = g_new0 (QconvDirectory, 1);

  d->container = g_strdup (container);
  d->source = source;
  d->tensors = g_ptr_array_new_with_free_func (free_tensor);
  d->by_name = g_hash_table_new (g_str_hash, g_str_equal);
  d->metadata = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, (GDestroyNotify) g_variant_unref);
  d->warnings = qconv_gather_new ();
  return d;
}

void
qconv_directory_free (QconvDirectory *d)
{
  g_hash_table_unref (d->by_name);
  g_ptr_array_unref (d->tensors);
  g_hash_table_unref (d->metadata);
  g_strfreev (d->keys);
  for (guint i = 0; i < QCONV_N_FACTS; i++)
    g_clear_pointer (&d->facts[i], g_variant_unref);
  qconv_gather_free (d->warnings);
  g_free (d->container);
  g_free (d);
}

guint
qconv_directory_n_tensors (const QconvDirectory *d)
{
  g_return_val_if_fail (d != NULL, 0);
  return d->tensors->len;
}

const QconvTensor *
qconv_directory_tensor (const QconvDirectory *d, guint i)
{
  g_return_val_if_fail (d != NULL && i < d->tensors->len, NULL);
  return g_ptr_array_index (d->tensors, i);
}

QconvTensor *
qconv_directory_planned (QconvDirectory *d, guint i)
{
  return g_ptr_array_index (d->tensors, i);
}

const QconvTensor *
qconv_directory_find (const QconvDirectory *d, const char *name)
{
  g_return_val_if_fail (d != NULL && name != NULL, NULL);
  return g_hash_table_lookup (d->by_name, name);
}

const QconvTensor *
qconv_directory_find2 (const QconvDirectory *d, const char *stem, const char *suffix)
{
  g_autofree char *name = NULL;

  g_return_val_if_fail (d != NULL && stem != NULL && suffix != NULL, NULL);
  name = g_strconcat (stem, suffix, NULL);
  return qconv_directory_find (d, name);
}

GVariant *
qconv_directory_metadata (const QconvDirectory *d, const char *key)
{
  g_return_val_if_fail (d != NULL && key != NULL, NULL);
  return g_hash_table_lookup (d->metadata, key);
}

char *
qconv_metadata_text (GVariant *value)
{
  g_return_val_if_fail (value != NULL, NULL);
  if (g_variant_is_of_type (value, G_VARIANT_TYPE_STRING))
    return g_variant_dup_string (value, NULL);
  if (g_variant_is_of_type (value, G_VARIANT_TYPE_BYTE))
    return g_strdup_printf ("%u", g_variant_get_byte (value));
  if (strchr ("bnqiuxtd", g_variant_classify (value)) != NULL)
    return g_variant_print (value, FALSE);
  return NULL;
}

GVariant *
qconv_directory_fact (const QconvDirectory *d, QconvFact fact)
{
  g_return_val_if_fail (d != NULL && (guint) fact < QCONV_N_FACTS, NULL);
  return d->facts[fact];
}

void
qconv_directory_set_fact (QconvDirectory *d, QconvFact fact, GVariant *value)
{
  static const char *const types[QCONV_N_FACTS] = { [QCONV_FACT_ARCHITECTURE] = "s",
                                                    [QCONV_FACT_N_HEADS] = "t",
                                                    [QCONV_FACT_HEAD_DIM] = "t",
                                                    [QCONV_FACT_ROW_ORDER] = "s",
                                                    [QCONV_FACT_N_BLOCKS] = "t" };
  g_autoptr (GVariant) owned = NULL;

  g_return_if_fail (d != NULL && value != NULL);
  owned = g_variant_ref_sink (value);
  g_return_if_fail (fact < QCONV_N_FACTS && g_variant_is_of_type (owned, G_VARIANT_TYPE (types[fact])));
  g_clear_pointer (&d->facts[fact], g_variant_unref);
  d->facts[fact] = g_steal_pointer (&owned);
}

const char *const *
qconv_directory_metadata_keys (const QconvDirectory *d)
{
  QconvDirectory *self = (QconvDirectory *) d;
  GPtrArray *keys;
  GHashTableIter iter;
  gpointer key;

  g_return_val_if_fail (d != NULL, NULL);
  if (self->keys != NULL)
    return (const char *const *) self->keys;
  keys = g_ptr_array_new ();
  g_hash_table_iter_init (&iter, self->metadata);
  while (g_hash_table_iter_next (&iter, &key, NULL))
    g_ptr_array_add (keys, g_strdup (key));
  g_ptr_array_sort (keys, qconv_compare_strings);
  g_ptr_array_add (keys, NULL);
  self->keys = (char **) g_ptr_array_free (keys, FALSE);
  return (const char *const *) self->keys;
}

const char *
qconv_directory_container (const QconvDirectory *d)
{
  g_return_val_if_fail (d != NULL, NULL);
  return d->container;
}

QconvSource *
qconv_directory_source (const QconvDirectory *d)
{
  g_return_val_if_fail (d != NULL, NULL);
  return d->source;
}

gboolean
qconv_tensor_read (const QconvTensor *t, guint64 offset, gsize n, void *dst, GError **error)
{
  g_return_val_if_fail (t != NULL && (dst != NULL || n == 0), FALSE);
  if (offset > t->n_bytes || n > t->n_bytes - offset)
    return qconv_fail (error, QCONV_ERROR_BUG,
                       "%" G_GSIZE_FORMAT " bytes at %" G_GUINT64_FORMAT " are outside tensor \"%s\"", n, offset,
                       t->name);
  if (qconv_source_read (t->source, t->offset + offset, n, dst, error))
    return TRUE;
  g_prefix_error (error, "tensor \"%s\": ", t->name);
  return FALSE;
}

static gboolean
check_place (const QconvTensor *t, GError **error)
{
  guint64 size = qconv_source_size (t->source), expected;

  if (t->offset > size || t->n_bytes > size - t->offset)
    return qconv_fail (error, QCONV_ERROR_INPUT,
                       "tensor \"%s\": %" G_GUINT64_FORMAT " bytes at %" G_GUINT64_FORMAT
                       " are past the end of the file",
                       t->name, t->n_bytes, t->offset);
  if (t->dtype == QCONV_OPAQUE)
    return TRUE;
  if (!qconv_shape_bytes (&t->shape, t->dtype, &expected) || expected != t->n_bytes)
    return qconv_fail (error, QCONV_ERROR_INPUT, "tensor \"%s\": %" G_GUINT64_FORMAT " bytes do not make its shape",
                       t->name, t->n_bytes);
  return TRUE;
}

/* Fails if a container, or core that plans a directory, states what no file can hold */
static gboolean
check_tensor (const QconvDirectory *d, const QconvTensor *t, GError **error)
{
  if (d->source != NULL && !g_utf8_validate (t->name, -1, NULL))
    return qconv_fail (error, QCONV_ERROR_INPUT, "a tensor has a name that is not UTF-8");
  if ((guint) t->dtype >= QCONV_N_DTYPES || t->shape.rank > QCONV_MAX_RANK)
    return qconv_fail (error, QCONV_ERROR_INPUT, "tensor \"%s\" has an unknown type or more than %d dimensions",
                       t->name, QCONV_MAX_RANK);
  return d->source == NULL || t->source != NULL
         || qconv_fail (error, QCONV_ERROR_BUG, "container %s: tensor \"%s\" has no source", d->container, t->name);
}

gboolean
qconv_directory_add (QconvDirectory *d, const QconvTensor *t, GError **error)
{
  QconvTensor *copy;

  g_return_val_if_fail (d != NULL && t != NULL && t->name != NULL, FALSE);
  if (!check_tensor (d, t, error))
    return FALSE;
  if (g_hash_table_contains (d->by_name, t->name))
    return qconv_fail (error, QCONV_ERROR_INPUT, "duplicate tensor \"%s\"", t->name);
  if (t->source != NULL && !check_place (t, error))
    return FALSE;
  copy = g_new (QconvTensor, 1);
  *copy = *t;
  copy->name = g_strdup (t->name);
  copy->type = g_strdup (t->type);
  g_ptr_array_add (d->tensors, copy);
  g_hash_table_insert (d->by_name, (gpointer) copy->name, copy);
  return TRUE;
}

void
qconv_directory_truncate (QconvDirectory *d, guint n)
{
  while (d->tensors->len > n)
    {
      const QconvTensor *last = g_ptr_array_index (d->tensors, d->tensors->len - 1);

      g_hash_table_remove (d->by_name, last->name);
      g_ptr_array_set_size (d->tensors, (gint) d->tensors->len - 1);
    }
}

void
qconv_directory_replace_metadata (QconvDirectory *d, const char *key, GVariant *value)
{
  g_clear_pointer (&d->keys, g_strfreev);
  if (value != NULL)
    g_hash_table_replace (d->metadata, g_strdup (key), g_variant_ref_sink (value));
  else
    g_hash_table_remove (d->metadata, key);
}

gboolean
qconv_directory_set_metadata (QconvDirectory *d, const char *key, GVariant *value, GError **error)
{
  g_autoptr (GVariant) owned = NULL;

  g_return_val_if_fail (d != NULL && key != NULL && value != NULL, FALSE);
  owned = g_variant_ref_sink (value);
  if (g_hash_table_contains (d->metadata, key))
    return qconv_fail (error, QCONV_ERROR_INPUT, "duplicate metadata key \"%s\"", key);
  qconv_directory_replace_metadata (d, key, owned);
  return TRUE;
}

void
qconv_directory_warn (QconvDirectory *d, const char *format, ...)
{
  va_list args;

  g_return_if_fail (d != NULL && format != NULL);
  va_start (args, format);
  qconv_gather_add_valist (d->warnings, NULL, NULL, format, args);
  va_end (args);
}

void
qconv_directory_warn_each (QconvDirectory *d, const char *name, const char *code, const char *format, ...)
{
  va_list args;

  g_return_if_fail (d != NULL && code != NULL && format != NULL);
  va_start (args, format);
  qconv_gather_add_valist (d->warnings, name, code, format, args);
  va_end (args);
}

GPtrArray *
qconv_directory_warnings (const QconvDirectory *d)
{
  return qconv_gather_lines (d->warnings);
}
