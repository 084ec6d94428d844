/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Reads one file of LoRA dialects and checks it. The tables below list its members. dialects.c calls it. */
#include <json-glib/json-glib.h>
#include <string.h>

#include "base/json-text.h"
#include "lora/dialects.h"
#include "qconv-types.h"

#define SCHEMA "qconv-lora-dialects"
enum { VERSION = 1 };

/* In the order of LoraRole */
static const char *const role_names[LORA_REFUSED]
    = { "up",           "down",         "alpha",       "diff",         "diff_bias",   "up_bias",     "replace",
        "replace_bias", "mid",          "hadamard_1a", "hadamard_1b",  "hadamard_2a", "hadamard_2b", "kronecker_1",
        "kronecker_1a", "kronecker_1b", "kronecker_2", "kronecker_2a", "kronecker_2b" };

/**
 * DialectFile: a file while it is read.
 *
 * @seen: the spellings of this file
 * @path: of the member at hand; a failure leaves it as it is
 * @reason: (nullable): of a failure
 */
typedef struct {
  LoraDialects *dialects;
  GHashTable *seen;
  GString *path;
  char *reason;
} DialectFile;

typedef gboolean (*ReadFunc) (DialectFile *f, JsonNode *node, gpointer to);

/* One row of a table that ends with { NULL }. @offset: place in the table's struct of the field that @read fills */
typedef struct {
  const char *name;
  ReadFunc read;
  gsize offset;
  gboolean required;
} Member;

/* Records the reason of a failure. Returns FALSE */
static gboolean fail (DialectFile *f, const char *format, ...) G_GNUC_PRINTF (2, 3);

static gboolean
fail (DialectFile *f, const char *format, ...)
{
  va_list args;

  va_start (args, format);
  f->reason = g_strdup_vprintf (format, args);
  va_end (args);
  return FALSE;
}

/* ---- Values ---- */

static gboolean
read_member (DialectFile *f, JsonObject *o, const char *name, ReadFunc read, gpointer to)
{
  gsize length = f->path->len;

  g_string_append_printf (f->path, "%s%s", length > 0 ? "." : "", name);
  if (!read (f, json_object_get_member (o, name), to))
    return FALSE;
  g_string_truncate (f->path, length);
  return TRUE;
}

static gboolean
read_items (DialectFile *f, JsonNode *node, ReadFunc read, gpointer to)
{
  gsize length = f->path->len;
  JsonArray *list = JSON_NODE_HOLDS_ARRAY (node) ? json_node_get_array (node) : NULL;

  if (list == NULL)
    return fail (f, "not a list");
  for (guint i = 0; i < json_array_get_length (list); i++)
    {
      g_string_append_printf (f->path, "[%u]", i);
      if (!read (f, json_array_get_element (list, i), to))
        return FALSE;
      g_string_truncate (f->path, length);
    }
  return TRUE;
}

static const Member *
find_member (const Member *members, const char *name)
{
  for (const Member *m = members; m->name != NULL; m++)
    if (strcmp (m->name, name) == 0)
      return m;
  return NULL;
}

/* Reads @node into the struct @to. Fails if @node has members that @members does not list or lacks required ones */
static gboolean
read_object (DialectFile *f, JsonNode *node, const Member *members, gpointer to)
{
  JsonObject *o = JSON_NODE_HOLDS_OBJECT (node) ? json_node_get_object (node) : NULL;
  g_autoptr (GList) names = o != NULL ? json_object_get_members (o) : NULL;

  if (o == NULL)
    return fail (f, "not an object");
  for (const GList *l = names; l != NULL; l = l->next)
    {
      const Member *m = find_member (members, l->data);

      if (m == NULL)
        return fail (f, "unknown member \"%s\"", (const char *) l->data);
      if (!read_member (f, o, m->name, m->read, G_STRUCT_MEMBER_P (to, m->offset)))
        return FALSE;
    }
  for (const Member *m = members; m->name != NULL; m++)
    if (m->required && !json_object_has_member (o, m->name))
      return fail (f, "member \"%s\" is missing", m->name);
  return TRUE;
}

static gboolean
read_any_text (DialectFile *f, JsonNode *node, gpointer to)
{
  if (!JSON_NODE_HOLDS_VALUE (node) || json_node_get_value_type (node) != G_TYPE_STRING)
    return fail (f, "not text");
  *(const char **) to = g_string_chunk_insert_const (f->dialects->texts, json_node_get_string (node));
  return TRUE;
}

static gboolean
read_text (DialectFile *f, JsonNode *node, gpointer to)
{
  return read_any_text (f, node, to) && (**(const char **) to != '\0' || fail (f, "empty"));
}

/* Texts for people are checked and forgotten */
static gboolean
check_text (DialectFile *f, JsonNode *node, gpointer to)
{
  const char *text = NULL;

  return read_text (f, node, &text);
}

static gboolean
check_texts (DialectFile *f, JsonNode *node, gpointer to)
{
  return read_items (f, node, check_text, NULL);
}

static gboolean
append_text (DialectFile *f, JsonNode *node, gpointer to)
{
  const char *text = NULL;

  if (!read_text (f, node, &text))
    return FALSE;
  g_ptr_array_add (to, (gpointer) text);
  return TRUE;
}

static gboolean
read_texts (DialectFile *f, JsonNode *node, gpointer to)
{
  GPtrArray **texts = to;

  *texts = g_ptr_array_new ();
  return read_items (f, node, append_text, *texts);
}

/* ---- Spellings ---- */

/* Reads a suffix or a prefix: one file may list it once */
static gboolean
read_spelling (DialectFile *f, JsonNode *node, const char **to)
{
  return read_text (f, node, to)
         && (g_hash_table_add (f->seen, (gpointer) *to) || fail (f, "\"%s\" is listed twice", *to));
}

static gboolean
append_prefix (DialectFile *f, JsonNode *node, gpointer to)
{
  const char *prefix = NULL;

  if (!read_spelling (f, node, &prefix))
    return FALSE;
  g_ptr_array_add (to, (gpointer) prefix);
  return TRUE;
}

static gboolean
read_prefixes (DialectFile *f, JsonNode *node, gpointer to)
{
  return read_items (f, node, append_prefix, *(GPtrArray **) to);
}

/* Appends a suffix. @to: the suffix without its text */
static gboolean
append_suffix (DialectFile *f, JsonNode *node, gpointer to)
{
  g_autofree LoraSuffix *suffix = g_memdup2 (to, sizeof (LoraSuffix));

  if (!read_spelling (f, node, &suffix->text))
    return FALSE;
  if (!g_hash_table_contains (f->dialects->suffixes, suffix->text))
    {
      const char *text = suffix->text;

      g_hash_table_insert (f->dialects->suffixes, (gpointer) text, g_steal_pointer (&suffix));
    }
  return TRUE;
}

static gboolean
read_suffixes (DialectFile *f, JsonNode *node, gpointer to)
{
  return read_items (f, node, append_suffix, to);
}

/* Reads roles: role -> suffixes */
static gboolean
read_roles (DialectFile *f, JsonNode *node, gpointer to)
{
  LoraSuffix suffix[LORA_REFUSED] = { { .text = NULL } };
  Member members[LORA_REFUSED + 1] = { { .name = NULL } };

  for (guint i = 0; i < LORA_REFUSED; i++)
    {
      suffix[i].role = (LoraRole) i;
      members[i] = (Member) { role_names[i], read_suffixes, i * sizeof (LoraSuffix), FALSE };
    }
  return read_object (f, node, members, suffix);
}

/* Reads suffixes that cannot be merged: words for people -> suffixes */
static gboolean
read_refused (DialectFile *f, JsonNode *node, gpointer to)
{
  JsonObject *o = JSON_NODE_HOLDS_OBJECT (node) ? json_node_get_object (node) : NULL;
  g_autoptr (GList) names = o != NULL ? json_object_get_members (o) : NULL;

  if (o == NULL)
    return fail (f, "not an object");
  for (const GList *l = names; l != NULL; l = l->next)
    {
      LoraSuffix suffix = { NULL, LORA_REFUSED, g_string_chunk_insert_const (f->dialects->texts, l->data) };

      if (!read_member (f, o, l->data, read_suffixes, &suffix))
        return FALSE;
    }
  return TRUE;
}

/* ---- Rewrites ---- */

static gboolean
read_match (DialectFile *f, JsonNode *node, gpointer to)
{
  g_autoptr (GError) broken = NULL;
  const char *pattern = NULL;

  if (!read_text (f, node, &pattern))
    return FALSE;
  *(GRegex **) to = g_regex_new (pattern, G_REGEX_DEFAULT, 0, &broken);
  return broken == NULL || fail (f, "%s", broken->message);
}

static gboolean
read_replace (DialectFile *f, JsonNode *node, gpointer to)
{
  g_autoptr (GError) broken = NULL;

  return read_any_text (f, node, to)
         && (g_regex_check_replacement (*(const char **) to, NULL, &broken) || fail (f, "%s", broken->message));
}

/* The largest number of rows for each column */
enum { MAX_ROWS_PER_COLUMN = 1024 };

static gboolean
read_rows (DialectFile *f, JsonNode *node, gpointer to)
{
  gint64 n
      = JSON_NODE_HOLDS_VALUE (node) && json_node_get_value_type (node) == G_TYPE_INT64 ? json_node_get_int (node) : 0;

  *(guint64 *) to = (guint64) n;
  return (n > 0 && n <= MAX_ROWS_PER_COLUMN) || fail (f, "not a number from 1 to %d", MAX_ROWS_PER_COLUMN);
}

static const Member rewrite_members[]
    = { { "match", read_match, G_STRUCT_OFFSET (LoraRewrite, match), TRUE },
        { "replace", read_replace, G_STRUCT_OFFSET (LoraRewrite, replace), TRUE },
        { "rows_per_column", read_rows, G_STRUCT_OFFSET (LoraRewrite, rows_per_column), FALSE },
        { "why", check_text, 0, FALSE },
        { .name = NULL } };

static gboolean
append_rewrite (DialectFile *f, JsonNode *node, gpointer to)
{
  GArray *rewrites = to;

  g_array_set_size (rewrites, rewrites->len + 1);
  return read_object (f, node, rewrite_members, &g_array_index (rewrites, LoraRewrite, rewrites->len - 1));
}

static void
clear_rewrite (gpointer data)
{
  g_clear_pointer (&((LoraRewrite *) data)->match, g_regex_unref);
}

static gboolean
read_rewrites (DialectFile *f, JsonNode *node, gpointer to)
{
  GArray *rewrites = g_array_new (FALSE, TRUE, sizeof (LoraRewrite));

  g_array_set_clear_func (rewrites, clear_rewrite);
  g_ptr_array_add (*(GPtrArray **) to, rewrites);
  return read_items (f, node, append_rewrite, rewrites);
}

/* ---- Dialects ---- */

static const Member metadata_members[]
    = { { "key", read_text, G_STRUCT_OFFSET (LoraMetadata, key), FALSE },
        { "alpha", read_text, G_STRUCT_OFFSET (LoraMetadata, alpha), TRUE },
        { "rank", read_text, G_STRUCT_OFFSET (LoraMetadata, rank), TRUE },
        { "root", read_text, G_STRUCT_OFFSET (LoraMetadata, root), FALSE },
        { "patterns", read_texts, G_STRUCT_OFFSET (LoraMetadata, patterns), FALSE },
        { "other_models", read_texts, G_STRUCT_OFFSET (LoraMetadata, other_models), TRUE },
        { .name = NULL } };

static gboolean
read_metadata (DialectFile *f, JsonNode *node, gpointer to)
{
  GArray *metadata = *(GArray **) to;

  g_array_set_size (metadata, metadata->len + 1);
  return read_object (f, node, metadata_members, &g_array_index (metadata, LoraMetadata, metadata->len - 1));
}

/* Reads what a file beside a LoRA may not state: words for people -> texts */
static gboolean
read_refusals (DialectFile *f, JsonNode *node, gpointer to)
{
  GArray *refused = g_array_new (FALSE, FALSE, sizeof (LoraRefusal));
  JsonObject *o = JSON_NODE_HOLDS_OBJECT (node) ? json_node_get_object (node) : NULL;
  g_autoptr (GList) names = o != NULL ? json_object_get_members (o) : NULL;

  *(GArray **) to = refused;
  if (o == NULL)
    return fail (f, "not an object");
  for (const GList *l = names; l != NULL; l = l->next)
    {
      g_autoptr (GPtrArray) texts = g_ptr_array_new ();
      LoraRefusal r = { NULL, g_string_chunk_insert_const (f->dialects->texts, l->data) };

      if (!read_items (f, json_object_get_member (o, l->data), append_text, texts))
        return FALSE;
      for (guint i = 0; i < texts->len; i++)
        {
          r.text = g_ptr_array_index (texts, i);
          g_array_append_val (refused, r);
        }
    }
  return TRUE;
}

static const Member config_members[]
    = { { "file", read_text, G_STRUCT_OFFSET (LoraConfigForm, file), TRUE },
        { "prefix", read_text, G_STRUCT_OFFSET (LoraConfigForm, prefix), TRUE },
        { "alpha", read_texts, G_STRUCT_OFFSET (LoraConfigForm, alpha), TRUE },
        { "rank", read_text, G_STRUCT_OFFSET (LoraConfigForm, rank), TRUE },
        { "alpha_pattern", read_text, G_STRUCT_OFFSET (LoraConfigForm, alpha_pattern), TRUE },
        { "rank_pattern", read_text, G_STRUCT_OFFSET (LoraConfigForm, rank_pattern), TRUE },
        { "root", read_text, G_STRUCT_OFFSET (LoraConfigForm, root), TRUE },
        { "refused", read_refusals, G_STRUCT_OFFSET (LoraConfigForm, refused), TRUE },
        { .name = NULL } };

static gboolean
read_config (DialectFile *f, JsonNode *node, gpointer to)
{
  GArray *configs = *(GArray **) to;
  LoraConfigForm *form;

  g_array_set_size (configs, configs->len + 1);
  form = &g_array_index (configs, LoraConfigForm, configs->len - 1);
  return read_object (f, node, config_members, form)
         && (form->alpha->len > 0 || fail (f, "\"alpha\" is an empty list"));
}

static gboolean
read_starts (DialectFile *f, JsonNode *node, gpointer to)
{
  *(GPtrArray **) to = g_ptr_array_new ();
  return read_prefixes (f, node, to);
}

static const Member encoder_members[] = { { "starts", read_starts, G_STRUCT_OFFSET (LoraEncoder, starts), TRUE },
                                          { "models", read_texts, G_STRUCT_OFFSET (LoraEncoder, models), TRUE },
                                          { .name = NULL } };

static gboolean
append_encoder (DialectFile *f, JsonNode *node, gpointer to)
{
  GArray *encoders = to;

  g_array_set_size (encoders, encoders->len + 1);
  return read_object (f, node, encoder_members, &g_array_index (encoders, LoraEncoder, encoders->len - 1));
}

static gboolean
read_encoders (DialectFile *f, JsonNode *node, gpointer to)
{
  return read_items (f, node, append_encoder, *(GArray **) to);
}

static gboolean
read_written (DialectFile *f, JsonNode *node, gpointer to)
{
#define TEXT(member) #member, read_text, G_STRUCT_OFFSET(LoraWritten, member), TRUE
  static const Member members[]
      = { { TEXT (container) }, { TEXT (prefix) }, { TEXT (up) }, { TEXT (down) }, { TEXT (alpha) }, { .name = NULL } };
  LoraWritten *first = to, later;

  return read_object (f, node, members, first->prefix != NULL ? &later : first);
}

static const Member dialect_members[]
    = { { "dialect", check_text, 0, TRUE },
        { "source_refs", check_texts, 0, FALSE },
        { "suffixes", read_roles, 0, FALSE },
        { "refused", read_refused, 0, FALSE },
        { "prefixes", read_prefixes, G_STRUCT_OFFSET (LoraDialects, prefixes), FALSE },
        { "flat_prefixes", read_prefixes, G_STRUCT_OFFSET (LoraDialects, flat_prefixes), FALSE },
        { "rewrites", read_rewrites, G_STRUCT_OFFSET (LoraDialects, rewrites), FALSE },
        { "written", read_written, G_STRUCT_OFFSET (LoraDialects, written), FALSE },
        { "files", read_prefixes, G_STRUCT_OFFSET (LoraDialects, files), FALSE },
        { "encoders", read_encoders, G_STRUCT_OFFSET (LoraDialects, encoders), FALSE },
        { "adapter_config", read_config, G_STRUCT_OFFSET (LoraDialects, configs), FALSE },
        { "adapter_metadata", read_metadata, G_STRUCT_OFFSET (LoraDialects, metadata), FALSE },
        { .name = NULL } };

static gboolean
read_dialect (DialectFile *f, JsonNode *node, gpointer to)
{
  return read_object (f, node, dialect_members, to);
}

static gboolean
read_dialects (DialectFile *f, JsonNode *node, gpointer to)
{
  return read_items (f, node, read_dialect, to);
}

static gboolean
check_schema (DialectFile *f, JsonNode *node, gpointer to)
{
  const char *schema = NULL;

  return read_text (f, node, &schema)
         && (strcmp (schema, SCHEMA) == 0 || fail (f, "not \"" SCHEMA "\", which files of LoRA dialects have"));
}

static gboolean
check_version (DialectFile *f, JsonNode *node, gpointer to)
{
  return (JSON_NODE_HOLDS_VALUE (node) && json_node_get_value_type (node) == G_TYPE_INT64
          && json_node_get_int (node) == VERSION)
         || fail (f, "not %d, the only version that is known", VERSION);
}

static const Member file_members[] = { { "schema", check_schema, 0, TRUE },
                                       { "schema_version", check_version, 0, TRUE },
                                       { "dialects", read_dialects, 0, TRUE },
                                       { .name = NULL } };

gboolean
qconv_lora_dialects_add (LoraDialects *d, const char *path, const char *text, gsize n, GError **error)
{
  g_autoptr (GHashTable) seen = g_hash_table_new (g_str_hash, g_str_equal);
  g_autoptr (GString) member = g_string_new (NULL);
  g_autoptr (JsonNode) root = qconv_json_text_parse (text, n, error);
  DialectFile f = { d, seen, member, NULL };
  gboolean right;

  if (root == NULL)
    {
      g_prefix_error (error, "%s: ", path);
      return FALSE;
    }
  right = read_object (&f, root, file_members, d);
  if (!right)
    qconv_fail (error, QCONV_ERROR_INPUT, "%s: %s%s%s", path, member->str, member->len > 0 ? ": " : "", f.reason);
  g_free (f.reason);
  return right;
}
