/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Judges unclaimed tensors by their types and neighbours. The judgement is coarse on purpose: readers that know better
   state that a tensor is plain. */
#include "graph/codes.h"

#include <string.h>

#define SET(dtype) (1u << (dtype))
/* Types that hold codes as often as numbers */
#define CODES                                                                                                      \
  (SET (QCONV_F8_E4M3) | SET (QCONV_F8_E5M2) | SET (QCONV_I8) | SET (QCONV_U8) | SET (QCONV_I16) | SET (QCONV_U16) \
   | SET (QCONV_I32) | SET (QCONV_U32) | SET (QCONV_I64) | SET (QCONV_U64))
/* Types of which no arithmetic is defined here */
#define STRANGE \
  (SET (QCONV_F4) | SET (QCONV_F6_E2M3) | SET (QCONV_F6_E3M2) | SET (QCONV_F8_E4M3FNUZ) | SET (QCONV_F8_E5M2FNUZ))

static gint
compare_names (gconstpointer a, gconstpointer b)
{
  const QconvTensor *const *x = a, *const *y = b;

  return strcmp ((*x)->name, (*y)->name);
}

GPtrArray *
qconv_codes_unclaimed (const QconvDirectory *d, const QconvClaims *c)
{
  GPtrArray *list = g_ptr_array_new ();

  for (guint i = 0; i < qconv_directory_n_tensors (d); i++)
    if (!qconv_claims_taken (c, qconv_directory_tensor (d, i)))
      g_ptr_array_add (list, (gpointer) qconv_directory_tensor (d, i));
  g_ptr_array_sort (list, compare_names);
  return list;
}

static const char *
name_at (const GPtrArray *list, guint i)
{
  return ((const QconvTensor *) g_ptr_array_index (list, i))->name;
}

/* Returns the index of the first tensor whose name is not before @start */
static guint
first_from (const GPtrArray *list, const char *start)
{
  guint low = 0, high = list->len;

  while (low < high)
    {
      guint middle = low + (high - low) / 2;

      if (strcmp (name_at (list, middle), start) < 0)
        low = middle + 1;
      else
        high = middle;
    }
  return low;
}

static gboolean
has_fewer_items (const QconvTensor *t, const QconvTensor *than)
{
  guint64 n = 0, most = 0;

  return qconv_shape_items (&t->shape, &n) && qconv_shape_items (&than->shape, &most) && n > 0 && n < most;
}

/* Returns whether @rest belongs to the layer of the tensor called @leaf, both being names in one module: "scales"
   beside "qweight", "weight._scale" beside "weight". Biases do not count */
static gboolean
is_beside (const char *leaf, const char *rest)
{
  gsize n = strlen (leaf);

  if (g_str_has_suffix (rest, "bias"))
    return FALSE;
  return strchr (rest, '.') == NULL || (strncmp (rest, leaf, n) == 0 && (rest[n] == '.' || rest[n] == ':'));
}

/* Returns: (transfer full): @name without the parts of a tensor subclass behind it: "m.weight" of "m.weight._data" */
static char *
outer_name (const char *name)
{
  char *outer = g_strdup (name), *dot;

  while ((dot = strrchr (outer, '.')) != NULL && dot[1] == '_')
    *dot = '\0';
  return outer;
}

static char *
suspicion (const QconvTensor *other)
{
  return g_strdup_printf ("tensor \"%s\" beside it could scale or index it", other->name);
}

/* Returns the reason why a parameter beside the @module of @t could scale @t, or NULL: "q_scale" beside "q." */
static char *
suspect_outside (const GPtrArray *unclaimed, const QconvTensor *t, const char *module)
{
  g_autofree char *start = g_strdup (module);
  gsize n = strlen (start);

  if (n == 0)
    return NULL;
  start[n - 1] = '_';
  for (guint i = first_from (unclaimed, start); i < unclaimed->len && g_str_has_prefix (name_at (unclaimed, i), start);
       i++)
    {
      const QconvTensor *other = g_ptr_array_index (unclaimed, i);
      const char *rest = other->name + n;

      if (strchr (rest, '.') == NULL && !g_str_has_suffix (rest, "bias") && has_fewer_items (other, t))
        return suspicion (other);
    }
  return NULL;
}

char *
qconv_codes_suspect (const GPtrArray *unclaimed, const QconvTensor *t)
{
  g_autofree char *outer = outer_name (t->name);
  const char *dot = strrchr (outer, '.'), *leaf = dot != NULL ? dot + 1 : outer;
  g_autofree char *module = g_strndup (outer, (gsize) (leaf - outer));

  if ((SET (t->dtype) & STRANGE) != 0)
    return g_strdup (QCONV_NO_NUMBERS);
  if ((SET (t->dtype) & CODES) == 0 || g_str_has_suffix (leaf, "bias"))
    return NULL;
  for (guint i = first_from (unclaimed, module);
       i < unclaimed->len && g_str_has_prefix (name_at (unclaimed, i), module); i++)
    {
      const QconvTensor *other = g_ptr_array_index (unclaimed, i);

      if (other != t && is_beside (leaf, other->name + strlen (module)) && has_fewer_items (other, t))
        return suspicion (other);
    }
  return suspect_outside (unclaimed, t, module);
}
