/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Compares names with templates, and sorts the templates of a family by what their names look like. expand.c and the
   keymaps call it. */
#include "families/template.h"

#include <string.h>

/* The arguments of fits(), with which it compares names. @dims: NULL if they are not known */
typedef struct {
  const Dims *dims;
  const FamilyIndex *index;
} Pattern;

static gboolean fits (const Pattern *p, const char *template, const char *name);

/* Returns TRUE if the @n digits at @name are a number in the range of @v. If the dimensions are not known, every range
   contains it. */
static gboolean
in_range (const Pattern *p, const FamilyVariable *v, const char *name, gsize n)
{
  gint64 low, high, number = g_ascii_strtoll (name, NULL, 10);

  return n > 0 && (n == 1 || *name != '0')
         && (p->dims == NULL
             || (qconv_dims_evaluate (p->dims, &v->low, &low, NULL)
                 && qconv_dims_evaluate (p->dims, &v->high, &high, NULL) && number >= low && number < high));
}

/* Returns TRUE if @v has a value at the start of @name such that @rest fits what follows */
static gboolean
fits_variable (const Pattern *p, const FamilyVariable *v, const char *rest, const char *name)
{
  if (v->values == NULL)
    {
      gsize n = strspn (name, "0123456789");

      /* The range comes last, because it takes an evaluation */
      return fits (p, rest, name + n) && in_range (p, v, name, n);
    }
  for (guint i = 0; v->values[i] != NULL; i++)
    if (g_str_has_prefix (name, v->values[i]) && fits (p, rest, name + strlen (v->values[i])))
      return TRUE;
  return FALSE;
}

/* Returns the variable whose name is the @n bytes at @name, or NULL */
static const FamilyVariable *
find_variable (const FamilyIndex *index, const char *name, gsize n)
{
  for (guint i = 0; i < index->n; i++)
    if (strncmp (index->at[i].name, name, n) == 0 && index->at[i].name[n] == '\0')
      return &index->at[i];
  return NULL;
}

static gboolean
fits (const Pattern *p, const char *template, const char *name)
{
  gsize n = p->index->n > 0 ? strcspn (template, "{") : strlen (template);
  const char *end = template[n] == '{' ? strchr (template + n, '}') : NULL;
  const FamilyVariable *v;

  if (strncmp (template, name, n) != 0)
    return FALSE;
  v = end != NULL ? find_variable (p->index, template + n + 1, (gsize) (end - template) - n - 1) : NULL;
  return v != NULL ? fits_variable (p, v, end + 1, name + n) : strcmp (template + n, name + n) == 0;
}

gboolean
qconv_template_fits (const char *template, const FamilyIndex *index, const Dims *dims, const char *name)
{
  Pattern p = { dims, index };

  return fits (&p, template, name);
}

char *
qconv_template_key (const char *name)
{
  char *key = g_malloc (strlen (name) + 1), *end = key;

  while (*name != '\0')
    {
      gsize digits = strspn (name, "0123456789");

      *end++ = digits > 0 ? '#' : *name;
      name += MAX (digits, 1);
    }
  *end = '\0';
  return key;
}

/* Returns all names of @layer, each number being 0: schema.c limits them. (transfer full) (element-type GStrv) */
static GPtrArray *
some_names (const FamilyLayer *layer)
{
  static const char *const zero[] = { "0", NULL };
  g_autofree FamilyVariable *variables = g_new0 (FamilyVariable, layer->index.n + 1);
  const FamilyIndex index = { .n = layer->index.n, .at = variables };
  const char *templates[] = { layer->name, NULL };

  for (guint i = 0; i < index.n; i++)
    {
      variables[i] = layer->index.at[i];
      if (variables[i].values == NULL)
        variables[i].values = zero;
    }
  return qconv_dims_fill (NULL, &index, templates, NULL);
}

static void
add_place (GHashTable *table, char *key, guint place)
{
  GArray *places = g_hash_table_lookup (table, key);

  if (places == NULL)
    {
      places = g_array_new (FALSE, FALSE, sizeof (guint));
      g_hash_table_insert (table, g_strdup (key), places);
    }
  if (places->len == 0 || g_array_index (places, guint, places->len - 1) != place)
    g_array_append_val (places, place);
}

GHashTable *
qconv_template_index_new (const FamilyLayers *layers)
{
  GHashTable *table = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, (GDestroyNotify) g_array_unref);

  for (guint i = 0; i < layers->n; i++)
    {
      g_autoptr (GPtrArray) names = some_names (&layers->at[i]);

      for (guint k = 0; names != NULL && k < names->len; k++)
        {
          g_autofree char *key = qconv_template_key (((char **) g_ptr_array_index (names, k))[0]);

          add_place (table, key, i);
        }
    }
  return table;
}
