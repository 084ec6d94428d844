/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* usage: check-json [--lines] PATH...
   Reads JSON from standard input and prints the value at each PATH ("layers/0/name", "." for the whole document). With
   --lines it checks that every line is an object with all paths, and prints one word. The scripts of this folder call
   it. */
#include <json-glib/json-glib.h>
#include <stdio.h>
#include <string.h>

/* Returns: (transfer none) (nullable) */
static JsonNode *
find (JsonNode *node, const char *path)
{
  g_auto (GStrv) steps = g_strsplit (path, "/", -1);

  for (guint i = 0; steps[i] != NULL && strcmp (path, ".") != 0; i++)
    {
      guint64 index;

      if (node != NULL && JSON_NODE_HOLDS_OBJECT (node))
        node = json_object_get_member (json_node_get_object (node), steps[i]);
      else if (node != NULL && JSON_NODE_HOLDS_ARRAY (node)
               && g_ascii_string_to_unsigned (steps[i], 10, 0, G_MAXINT, &index, NULL)
               && index < json_array_get_length (json_node_get_array (node)))
        node = json_array_get_element (json_node_get_array (node), (guint) index);
      else
        return NULL;
    }
  return node;
}

static void
print_node (const char *path, JsonNode *node)
{
  if (JSON_NODE_HOLDS_ARRAY (node))
    printf ("%s: array of %u\n", path, json_array_get_length (json_node_get_array (node)));
  else if (JSON_NODE_HOLDS_OBJECT (node))
    {
      g_autoptr (GList) names = json_object_get_members (json_node_get_object (node));

      printf ("%s: object of", path);
      for (GList *l = names; l != NULL; l = l->next)
        printf (" %s", (const char *) l->data);
      printf ("\n");
    }
  else
    {
      g_autofree char *text = json_to_string (node, FALSE);

      printf ("%s: %s\n", path, text);
    }
}

static gboolean
check_text (const char *text, char **paths, gboolean print)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (JsonNode) root = json_from_string (text, &error);

  if (root == NULL)
    {
      printf ("not JSON: %s\n", error != NULL ? error->message : "nothing there");
      return FALSE;
    }
  for (guint i = 0; paths[i] != NULL; i++)
    {
      JsonNode *node = find (root, paths[i]);

      if (node == NULL)
        {
          printf ("%s: missing\n", paths[i]);
          return FALSE;
        }
      if (print)
        print_node (paths[i], node);
    }
  return TRUE;
}

int
main (int argc, char **argv)
{
  gboolean lines = argc > 1 && strcmp (argv[1], "--lines") == 0;
  g_autoptr (GString) text = g_string_new (NULL);
  g_auto (GStrv) pieces = NULL;
  char buffer[4096];
  gsize n;

  while ((n = fread (buffer, 1, sizeof buffer, stdin)) > 0)
    g_string_append_len (text, buffer, (gssize) n);
  if (!lines)
    return check_text (text->str, argv + 1, TRUE) ? 0 : 1;
  pieces = g_strsplit (g_strchomp (text->str), "\n", -1);
  if (pieces[0] == NULL)
    printf ("no lines\n");
  for (guint i = 0; pieces[i] != NULL; i++)
    if (!check_text (pieces[i], argv + 2, FALSE))
      return 1;
  printf ("good\n");
  return pieces[0] != NULL ? 0 : 1;
}
