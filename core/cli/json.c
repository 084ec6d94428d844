/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Additions to JsonBuilder, and the printing of its text. */
#include "cli/json.h"

#include <math.h>
#include <stdio.h>

#include "qconv.h"

static void
set_name (JsonBuilder *b, const char *name)
{
  g_autofree char *valid = NULL;

  if (name == NULL)
    return;
  valid = g_utf8_make_valid (name, -1);
  json_builder_set_member_name (b, valid);
}

void
cli_json_string (JsonBuilder *b, const char *name, const char *value)
{
  g_autofree char *valid = value != NULL ? g_utf8_make_valid (value, -1) : NULL;

  set_name (b, name);
  if (valid != NULL)
    json_builder_add_string_value (b, valid);
  else
    json_builder_add_null_value (b);
}

void
cli_json_null (JsonBuilder *b, const char *name)
{
  set_name (b, name);
  json_builder_add_null_value (b);
}

void
cli_json_boolean (JsonBuilder *b, const char *name, gboolean value)
{
  set_name (b, name);
  json_builder_add_boolean_value (b, value);
}

void
cli_json_int (JsonBuilder *b, const char *name, guint64 value)
{
  set_name (b, name);
  if (value <= G_MAXINT64)
    json_builder_add_int_value (b, (gint64) value);
  else
    json_builder_add_double_value (b, (double) value);
}

void
cli_json_double (JsonBuilder *b, const char *name, double value)
{
  set_name (b, name);
  if (isfinite (value))
    json_builder_add_double_value (b, value);
  else
    json_builder_add_null_value (b);
}

void
cli_json_texts (JsonBuilder *b, const char *name, const GPtrArray *texts)
{
  set_name (b, name);
  json_builder_begin_array (b);
  for (guint i = 0; texts != NULL && i < texts->len; i++)
    cli_json_string (b, NULL, texts->pdata[i]);
  json_builder_end_array (b);
}

void
cli_json_shape (JsonBuilder *b, const char *name, const QconvShape *shape)
{
  set_name (b, name);
  json_builder_begin_array (b);
  for (guint i = 0; i < shape->rank; i++)
    cli_json_int (b, NULL, shape->dim[i]);
  json_builder_end_array (b);
}

void
cli_json_value (JsonBuilder *b, const char *name, const char *json)
{
  JsonNode *node = json_from_string (json, NULL);

  if (node == NULL)
    {
      cli_json_string (b, name, json);
      return;
    }
  set_name (b, name);
  json_builder_add_value (b, node);
}

static void
add_signed (JsonBuilder *b, const char *name, gint64 value)
{
  set_name (b, name);
  json_builder_add_int_value (b, value);
}

static void
add_container (JsonBuilder *b, const char *name, GVariant *value)
{
  set_name (b, name);
  json_builder_begin_array (b);
  for (gsize i = 0; i < g_variant_n_children (value); i++)
    {
      g_autoptr (GVariant) child = g_variant_get_child_value (value, i);

      cli_json_variant (b, NULL, child);
    }
  json_builder_end_array (b);
}

void
cli_json_variant (JsonBuilder *b, const char *name, GVariant *value)
{
  switch (g_variant_classify (value))
    {
    case G_VARIANT_CLASS_BOOLEAN:
      return cli_json_boolean (b, name, g_variant_get_boolean (value));
    case G_VARIANT_CLASS_BYTE:
      return cli_json_int (b, name, g_variant_get_byte (value));
    case G_VARIANT_CLASS_INT16:
      return add_signed (b, name, g_variant_get_int16 (value));
    case G_VARIANT_CLASS_UINT16:
      return cli_json_int (b, name, g_variant_get_uint16 (value));
    case G_VARIANT_CLASS_INT32:
      return add_signed (b, name, g_variant_get_int32 (value));
    case G_VARIANT_CLASS_UINT32:
      return cli_json_int (b, name, g_variant_get_uint32 (value));
    case G_VARIANT_CLASS_INT64:
      return add_signed (b, name, g_variant_get_int64 (value));
    case G_VARIANT_CLASS_UINT64:
      return cli_json_int (b, name, g_variant_get_uint64 (value));
    case G_VARIANT_CLASS_DOUBLE:
      return cli_json_double (b, name, g_variant_get_double (value));
    case G_VARIANT_CLASS_STRING:
    case G_VARIANT_CLASS_OBJECT_PATH:
    case G_VARIANT_CLASS_SIGNATURE:
      return cli_json_string (b, name, g_variant_get_string (value, NULL));
    case G_VARIANT_CLASS_VARIANT:
      {
        g_autoptr (GVariant) inner = g_variant_get_variant (value);

        return cli_json_variant (b, name, inner);
      }
    default:
      return add_container (b, name, value);
    }
}

char *
cli_json_text (JsonBuilder *b, gboolean pretty)
{
  g_autoptr (JsonNode) root = json_builder_get_root (b);
  g_autoptr (JsonGenerator) generator = json_generator_new ();
  g_autofree char *text = NULL;
  g_auto (GStrv) pieces = NULL;

  json_generator_set_root (generator, root);
  json_generator_set_pretty (generator, pretty);
  text = json_generator_to_data (generator, NULL);
  /* json-glib 1.6 does not escape this control character, which can only occur inside a string */
  pieces = g_strsplit (text, "\x1f", -1);
  return g_strjoinv ("\\u001f", pieces);
}

static void
print_text (JsonBuilder *b, gboolean pretty)
{
  g_autofree char *text = cli_json_text (b, pretty);

  fputs (text, stdout);
  fputc ('\n', stdout);
}

void
cli_json_print (JsonBuilder *b)
{
  print_text (b, TRUE);
}

void
cli_json_print_line (JsonBuilder *b)
{
  print_text (b, FALSE);
  fflush (stdout);
}
