/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Parses and writes the quant_state, the JSON text of a 4-bit layer (bitsandbytes: functional.py
   QuantState.as_dict). Used by look.c and writer.c. */
#include "bnb.h"

#include <math.h>
#include <string.h>

#include "json-node.h"

#define LARGEST_TEXT 65536
#define LARGEST_WEIGHTS ((guint64) 1 << 62)

static const struct {
  const char *name;
  QconvDType dtype;
} dtypes[] = { { "bfloat16", QCONV_BF16 }, { "float16", QCONV_F16 }, { "float32", QCONV_F32 } };

/* ---- Reading ---- */

static gboolean
get_text (JsonObject *o, const char *key, const char **text, GError **error)
{
  JsonNode *node = json_object_get_member (o, key);

  if (node == NULL || !JSON_NODE_HOLDS_VALUE (node) || json_node_get_value_type (node) != G_TYPE_STRING)
    return qconv_fail (error, QCONV_ERROR_INPUT, "its %s is %s", key, node == NULL ? "missing" : "not text");
  *text = json_node_get_string (node);
  return TRUE;
}

static gboolean
take_count (JsonNode *node, const char *what, guint64 *n, GError **error)
{
  if (node == NULL || !JSON_NODE_HOLDS_VALUE (node) || json_node_get_value_type (node) != G_TYPE_INT64
      || json_node_get_int (node) <= 0)
    return qconv_fail (error, QCONV_ERROR_INPUT, "its %s is %s", what,
                       node == NULL ? "missing" : "not a positive whole number");
  *n = (guint64) json_node_get_int (node);
  return TRUE;
}

static gboolean
take_shape (BnbState *s, JsonObject *o, GError **error)
{
  JsonNode *node = json_object_get_member (o, "shape");
  JsonArray *shape = node != NULL && JSON_NODE_HOLDS_ARRAY (node) ? json_node_get_array (node) : NULL;
  guint64 all;

  if (shape == NULL)
    return qconv_fail (error, QCONV_ERROR_INPUT, "its shape is %s", node == NULL ? "missing" : "not a list");
  if (json_array_get_length (shape) != 2)
    return qconv_fail (error, QCONV_ERROR_UNSUPPORTED, "its shape has %u dimensions; only two are supported",
                       json_array_get_length (shape));
  if (!take_count (json_array_get_element (shape, 0), "shape", &s->rows, error)
      || !take_count (json_array_get_element (shape, 1), "shape", &s->cols, error))
    return FALSE;
  return (!__builtin_mul_overflow (s->rows, s->cols, &all) && all <= LARGEST_WEIGHTS)
         || qconv_fail (error, QCONV_ERROR_INPUT,
                        "its shape [%" G_GUINT64_FORMAT ", %" G_GUINT64_FORMAT "] is too large", s->rows, s->cols);
}

static gboolean
take_dtype (BnbState *s, JsonObject *o, GError **error)
{
  const char *text = NULL;

  if (!get_text (o, "dtype", &text, error))
    return FALSE;
  for (guint i = 0; i < G_N_ELEMENTS (dtypes); i++)
    if (g_str_equal (text, dtypes[i].name))
      {
        s->dtype = dtypes[i].dtype;
        return TRUE;
      }
  return qconv_fail (error, QCONV_ERROR_UNSUPPORTED, "its dtype \"%.32s\" is not supported", text);
}

static gboolean
take_block (BnbState *s, JsonObject *o, GError **error)
{
  if (!take_count (json_object_get_member (o, "blocksize"), "blocksize", &s->block, error))
    return FALSE;
  return (s->block >= 32 && s->block <= 4096 && (s->block & (s->block - 1)) == 0)
         || qconv_fail (error, QCONV_ERROR_UNSUPPORTED, "its blocksize %" G_GUINT64_FORMAT " is not supported",
                        s->block);
}

static gboolean
take_nested (BnbState *s, JsonObject *o, GError **error)
{
  JsonNode *offset = json_object_get_member (o, "nested_offset");
  const char *dtype = NULL;
  guint64 block;

  s->nested
      = offset != NULL || json_object_has_member (o, "nested_blocksize") || json_object_has_member (o, "nested_dtype");
  if (!s->nested)
    return TRUE;
  if (!take_count (json_object_get_member (o, "nested_blocksize"), "nested_blocksize", &block, error)
      || !get_text (o, "nested_dtype", &dtype, error))
    return FALSE;
  if (block != BNB_NESTED_BLOCK)
    return qconv_fail (error, QCONV_ERROR_UNSUPPORTED, "its nested_blocksize %" G_GUINT64_FORMAT " is not supported",
                       block);
  if (!g_str_equal (dtype, "float32"))
    return qconv_fail (error, QCONV_ERROR_UNSUPPORTED, "its nested_dtype \"%.32s\" is not supported", dtype);
  if (offset == NULL || !JSON_NODE_HOLDS_VALUE (offset)
      || (json_node_get_value_type (offset) != G_TYPE_DOUBLE && json_node_get_value_type (offset) != G_TYPE_INT64))
    return qconv_fail (error, QCONV_ERROR_INPUT, "its nested_offset is %s",
                       offset == NULL ? "missing" : "not a number");
  s->offset = (float) json_node_get_double (offset);
  return isfinite (s->offset) || qconv_fail (error, QCONV_ERROR_NON_FINITE, "its nested_offset does not fit F32");
}

static gboolean
take_all (BnbState *s, JsonNode *root, GError **error)
{
  JsonObject *o = JSON_NODE_HOLDS_OBJECT (root) ? json_node_get_object (root) : NULL;
  const char *type = NULL;

  if (o == NULL)
    return qconv_fail (error, QCONV_ERROR_INPUT, "it is not a JSON object");
  if (!get_text (o, "quant_type", &type, error))
    return FALSE;
  if (!g_str_equal (type, "nf4") && !g_str_equal (type, "fp4") && !g_str_equal (type, "af4"))
    return qconv_fail (error, QCONV_ERROR_UNSUPPORTED, "its quant_type \"%.32s\" is not supported", type);
  g_strlcpy (s->type, type, sizeof s->type);
  return take_block (s, o, error) && take_dtype (s, o, error) && take_shape (s, o, error) && take_nested (s, o, error);
}

gboolean
bnb_state_parse (BnbState *s, const QconvTensor *t, GError **error)
{
  g_autofree char *text = NULL;
  g_autoptr (JsonNode) root = NULL;

  *s = (BnbState) { .block = 0 };
  if (t->dtype != QCONV_U8 || t->n_bytes == 0 || t->n_bytes > LARGEST_TEXT)
    return qconv_fail (error, QCONV_ERROR_INPUT,
                       "it is %s of %" G_GUINT64_FORMAT " bytes where text (U8, up to 64 KiB) is needed",
                       qconv_dtype_name (t->dtype), t->n_bytes);
  text = g_malloc ((gsize) t->n_bytes);
  if (!qconv_tensor_read (t, 0, (gsize) t->n_bytes, text, error))
    return FALSE;
  root = qconv_json_node_parse (text, (gsize) t->n_bytes, error);
  return root != NULL && take_all (s, root, error);
}

/* ---- Writing ---- */

char *
bnb_state_text (const QconvLayer *layer, gboolean nested)
{
  const char *dtype = "float32";

  for (guint i = 0; i < G_N_ELEMENTS (dtypes); i++)
    if (layer->dtype == dtypes[i].dtype)
      dtype = dtypes[i].name;
  return g_strdup_printf (
      "{\"quant_type\": \"%s\", \"blocksize\": %s, \"dtype\": \"%s\", \"shape\": [%" G_GUINT64_FORMAT
      ", %" G_GUINT64_FORMAT "]%s",
      layer->scheme, qconv_values_string (layer->values, "block"), dtype, layer->rows, layer->cols,
      nested ? ", \"nested_blocksize\": 256, \"nested_dtype\": \"float32\", \"nested_offset\": " : "");
}

/* Prints the fewest digits that parse to the same number. Uses an exponent if it is below -4 or at least 16. */
void
bnb_print_number (char text[BNB_NUMBER_SIZE], double number)
{
  char format[8];
  int digits = 0, exponent;

  do
    {
      g_snprintf (format, sizeof format, "%%.%de", digits++);
      g_ascii_formatd (text, BNB_NUMBER_SIZE, format, number);
  } while (digits < 17 && (g_ascii_strtod (text, NULL) < number || g_ascii_strtod (text, NULL) > number));
  exponent = atoi (strchr (text, 'e') + 1);
  if (exponent < -4 || exponent >= 16)
    return;
  g_snprintf (format, sizeof format, "%%.%df", MAX (digits - 1 - exponent, 1));
  g_ascii_formatd (text, BNB_NUMBER_SIZE, format, number);
}
