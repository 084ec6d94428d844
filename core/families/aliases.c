/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "families/aliases.h"

#include "qconv-types.h"

typedef struct {
  GRegex *match;
  char *replace;
} Alias;

struct _Aliases {
  GArray *list; /* Alias */
};

static void
clear_alias (gpointer data)
{
  Alias *alias = data;

  g_clear_pointer (&alias->match, g_regex_unref);
  g_free (alias->replace);
}

static gboolean
add_alias (Aliases *a, JsonNode *row, GError **error)
{
  JsonObject *o = JSON_NODE_HOLDS_OBJECT (row) ? json_node_get_object (row) : NULL;
  const char *match = o != NULL ? json_object_get_string_member_with_default (o, "match", NULL) : NULL;
  const char *replace = o != NULL ? json_object_get_string_member_with_default (o, "replace", NULL) : NULL;
  Alias alias = { NULL, NULL };

  if (match == NULL || replace == NULL || !g_regex_check_replacement (replace, NULL, NULL))
    return qconv_fail (error, QCONV_ERROR_INPUT, "aliases: an entry has no match or no usable replacement");
  alias.match = g_regex_new (match, G_REGEX_OPTIMIZE, 0, error);
  if (alias.match == NULL)
    {
      g_prefix_error (error, "aliases: ");
      return FALSE;
    }
  alias.replace = g_strdup (replace);
  g_array_append_val (a->list, alias);
  return TRUE;
}

Aliases *
qconv_aliases_new (JsonArray *list, GError **error)
{
  g_autoptr (Aliases) a = g_new0 (Aliases, 1);

  a->list = g_array_new (FALSE, FALSE, sizeof (Alias));
  g_array_set_clear_func (a->list, clear_alias);
  for (guint i = 0; list != NULL && i < json_array_get_length (list); i++)
    if (!add_alias (a, json_array_get_element (list, i), error))
      return NULL;
  return g_steal_pointer (&a);
}

char *
qconv_aliases_apply (const Aliases *a, const char *name)
{
  char *spelling = g_strdup (name);

  for (guint i = 0; i < a->list->len; i++)
    {
      const Alias *alias = &g_array_index (a->list, Alias, i);
      char *next;

      if (!g_utf8_validate (spelling, -1, NULL) || !g_regex_match (alias->match, spelling, 0, NULL))
        continue;
      next = g_regex_replace (alias->match, spelling, -1, 0, alias->replace, 0, NULL);
      if (next == NULL)
        continue;
      g_free (spelling);
      spelling = next;
    }
  return spelling;
}

void
qconv_aliases_free (Aliases *a)
{
  g_array_unref (a->list);
  g_free (a);
}
