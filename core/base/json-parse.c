/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Makes one GVariant of a JSON text. qconv-json.h declares it; plugins read markers and configurations with it. */
#include <errno.h>
#include <math.h>
#include <string.h>

#include "qconv-json.h"

/**
 * Tree: the value while it grows.
 *
 * @builder: of an array of type "av" for the one value, with all containers that are open
 * @keys: for each of these the keys that it has (element-type utf8), or NULL if it is an array
 */
typedef struct {
  GVariantBuilder builder;
  GPtrArray *keys;
} Tree;

static void
free_keys (gpointer keys)
{
  if (keys != NULL)
    g_hash_table_unref (keys);
}

static void
clear_tree (Tree *t)
{
  g_variant_builder_clear (&t->builder);
  g_ptr_array_unref (t->keys);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Tree, clear_tree)

/* Returns: (transfer floating) */
static GVariant *
number_value (const QconvJsonScan *s, GError **error)
{
  const char *text = qconv_json_scan_text (s);
  gboolean real = strpbrk (text, ".eE") != NULL;
  double number = g_ascii_strtod (text, NULL);
  gint64 integer;

  errno = 0;
  integer = g_ascii_strtoll (text, NULL, 10);
  if (real ? !isfinite (number) : errno == ERANGE)
    {
      qconv_json_scan_fail (s, error, "number out of range");
      return NULL;
    }
  return real ? g_variant_new_double (number) : g_variant_new_int64 (integer);
}

/* Returns: (transfer floating): the value of a token that opens nothing */
static GVariant *
simple_value (const QconvJsonScan *s, QconvJsonToken token, GError **error)
{
  switch (token)
    {
    case QCONV_JSON_NUMBER:
      return number_value (s, error);
    case QCONV_JSON_STRING:
      if (!qconv_json_scan_has_nul (s))
        return g_variant_new_string (qconv_json_scan_text (s));
      qconv_json_scan_fail (s, error, "NUL in a string");
      return NULL;
    case QCONV_JSON_TRUE:
    case QCONV_JSON_FALSE:
      return g_variant_new_boolean (token == QCONV_JSON_TRUE);
    default:
      return g_variant_new_maybe (G_VARIANT_TYPE_VARIANT, NULL);
    }
}

static gboolean
in_object (const Tree *t)
{
  return t->keys->len > 0 && t->keys->pdata[t->keys->len - 1] != NULL;
}

static void
open_container (Tree *t, gboolean object)
{
  g_variant_builder_open (&t->builder, G_VARIANT_TYPE_VARIANT);
  g_variant_builder_open (&t->builder, object ? G_VARIANT_TYPE_VARDICT : G_VARIANT_TYPE ("av"));
  g_ptr_array_add (t->keys, object ? g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL) : NULL);
}

static gboolean
open_member (Tree *t, const QconvJsonScan *s, GError **error)
{
  const char *key = qconv_json_scan_text (s);

  if (qconv_json_scan_has_nul (s))
    return qconv_json_scan_fail (s, error, "NUL in a key");
  if (!g_hash_table_add (t->keys->pdata[t->keys->len - 1], g_strdup (key)))
    return qconv_json_scan_fail (s, error, "duplicate key \"%s\"", key);
  g_variant_builder_open (&t->builder, G_VARIANT_TYPE ("{sv}"));
  g_variant_builder_add (&t->builder, "s", key);
  return TRUE;
}

/* Closes the member of an object whose value is complete */
static void
close_member (Tree *t)
{
  if (in_object (t))
    g_variant_builder_close (&t->builder);
}

static void
close_container (Tree *t)
{
  g_variant_builder_close (&t->builder);
  g_variant_builder_close (&t->builder);
  g_ptr_array_set_size (t->keys, (gint) t->keys->len - 1);
  close_member (t);
}

static gboolean
add_token (Tree *t, const QconvJsonScan *s, QconvJsonToken token, GError **error)
{
  GVariant *value;

  switch (token)
    {
    case QCONV_JSON_ERROR:
      return FALSE;
    case QCONV_JSON_OBJECT:
    case QCONV_JSON_ARRAY:
      open_container (t, token == QCONV_JSON_OBJECT);
      return TRUE;
    case QCONV_JSON_OBJECT_END:
    case QCONV_JSON_ARRAY_END:
      close_container (t);
      return TRUE;
    case QCONV_JSON_KEY:
      return open_member (t, s, error);
    default:
      value = simple_value (s, token, error);
      if (value == NULL)
        return FALSE;
      g_variant_builder_add (&t->builder, "v", value);
      close_member (t);
      return TRUE;
    }
}

GVariant *
qconv_json_parse (const char *text, gsize n, GError **error)
{
  g_autoptr (QconvJsonScan) s = qconv_json_scan_new (text, n, error);
  g_autoptr (GVariant) all = NULL;
  g_auto (Tree) t = { .keys = g_ptr_array_new_with_free_func (free_keys) };
  QconvJsonToken token;
  GVariant *value;

  if (s == NULL)
    return NULL;
  g_variant_builder_init (&t.builder, G_VARIANT_TYPE ("av"));
  while ((token = qconv_json_scan_next (s, error)) != QCONV_JSON_END)
    if (!add_token (&t, s, token, error))
      return NULL;
  all = g_variant_ref_sink (g_variant_builder_end (&t.builder));
  g_variant_get_child (all, 0, "v", &value);
  return value;
}
