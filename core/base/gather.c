/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Gathers lines of one kind. Directories, claims and edits keep their lines in it. */
#include "base/gather.h"

#include <string.h>

#include "base/names.h"

/* @line: index of its line */
typedef struct {
  char *kind, *text;
  GPtrArray *names;
  guint line;
} Kind;

struct _Gather {
  GPtrArray *lines;
  GPtrArray *kinds; /* Kind */
};

static void
free_kind (gpointer data)
{
  Kind *k = data;

  g_free (k->kind);
  g_free (k->text);
  g_ptr_array_unref (k->names);
  g_free (k);
}

Gather *
qconv_gather_new (void)
{
  Gather *g = g_new (Gather, 1);

  g->lines = g_ptr_array_new_with_free_func (g_free);
  g->kinds = g_ptr_array_new_with_free_func (free_kind);
  return g;
}

void
qconv_gather_free (Gather *g)
{
  g_ptr_array_unref (g->lines);
  g_ptr_array_unref (g->kinds);
  g_free (g);
}

static Kind *
find_kind (const Gather *g, const char *kind)
{
  for (guint i = 0; i < g->kinds->len; i++)
    if (strcmp (((const Kind *) g_ptr_array_index (g->kinds, i))->kind, kind) == 0)
      return g_ptr_array_index (g->kinds, i);
  return NULL;
}

/* Returns: (transfer full): the line of @k */
static char *
line_of (const Kind *k)
{
  g_autofree char *names = qconv_first_names (k->names);

  return k->names->len == 1 ? g_strdup_printf ("%s: %s", names, k->text)
                            : g_strdup_printf ("%s (%u in all): %s", names, k->names->len, k->text);
}

void
qconv_gather_add (Gather *g, const char *name, const char *kind, const char *text)
{
  Kind *k;

  if (name == NULL)
    {
      g_ptr_array_add (g->lines, g_strdup (text));
      return;
    }
  k = find_kind (g, kind);
  if (k == NULL)
    {
      k = g_new (Kind, 1);
      *k = (Kind) { g_strdup (kind), g_strdup (text), g_ptr_array_new_with_free_func (g_free), g->lines->len };
      g_ptr_array_add (g->kinds, k);
      g_ptr_array_add (g->lines, NULL);
    }
  /* One layer may have several lines of a kind */
  if (k->names->len == 0 || strcmp (g_ptr_array_index (k->names, k->names->len - 1), name) != 0)
    g_ptr_array_add (k->names, g_strdup (name));
  g_free (g->lines->pdata[k->line]);
  g->lines->pdata[k->line] = line_of (k);
}

void
qconv_gather_add_valist (Gather *g, const char *name, const char *kind, const char *format, va_list args)
{
  g_autofree char *text = g_strdup_vprintf (format, args);

  qconv_gather_add (g, name, kind, text);
}

GPtrArray *
qconv_gather_lines (const Gather *g)
{
  return g->lines;
}
