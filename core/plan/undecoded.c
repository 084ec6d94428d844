/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Says why a layer cannot be decoded: its scheme, its tensors, and how to copy them. plan-layer.c calls it. */
#include "plan/undecoded.h"

#include <string.h>

#include "io/directory.h"
#include "qconv.h"

/* Tensors that a message names at most */
#define NAMED 4

/* Returns: (nullable): the target that copies every tensor of a file of @container as it is */
static const char *
find_copying_target (const char *container)
{
  GPtrArray *targets = qconv_registry_targets ();

  for (guint i = 0; i < targets->len; i++)
    {
      const QconvTargetInfo *t = g_ptr_array_index (targets, i);

      if (t->target->scheme == NULL && strcmp (t->writer->container, container) == 0)
        return t->name;
    }
  return NULL;
}

/* Returns the claimed layer of @s that has no decoder */
static const SourceLayer *
find_undecoded (const SourceLayer *s)
{
  for (guint i = 0; s->parts != NULL && i < s->sources->len; i++)
    if (!qconv_source_layer_decodes (g_ptr_array_index (s->sources, i)))
      return g_ptr_array_index (s->sources, i);
  return s;
}

static void
append_tensor (GString *text, const QconvTensor *t)
{
  g_autofree char *shape = qconv_shape_to_string (&t->shape);

  g_string_append_printf (text, "%s\"%s\" is %s %s", text->len > 0 ? ", " : "", t->name, qconv_dtype_name (t->dtype),
                          shape);
}

/* Returns: (transfer full): the tensors of @s with their types and shapes */
static char *
describe_tensors (const SourceLayer *s)
{
  GString *text = g_string_new (NULL);
  guint n = 0;

  for (guint i = 0; i < s->bindings->len; i++)
    {
      const Binding *b = g_ptr_array_index (s->bindings, i);

      for (guint j = 0; j + 1 < b->tensors->len; j++)
        if (n++ < NAMED)
          append_tensor (text, g_ptr_array_index (b->tensors, j));
    }
  if (n > NAMED)
    g_string_append_printf (text, " and %u more", n - NAMED);
  return g_string_free (text, FALSE);
}

gboolean
qconv_fail_undecoded (const QconvPlan *p, const SourceLayer *s, GError **error)
{
  const SourceLayer *of = find_undecoded (s);
  const char *copy = find_copying_target (qconv_directory_container (p->model->directory));
  const char *why = of->layer->hints != NULL ? g_hash_table_lookup (of->layer->hints, QCONV_HINT_UNDECODED) : NULL;
  gboolean unknown = strcmp (of->layer->scheme, QCONV_UNKNOWN_SCALED) == 0;
  g_autofree char *tensors = describe_tensors (of);

  return qconv_fail (error, QCONV_ERROR_UNSUPPORTED, "layer \"%s\": no loaded plugin decodes %s%s%s: %s%s%s%s",
                     of->name, of->layer->scheme, why != NULL ? ": " : "", why != NULL ? why : "", tensors,
                     copy != NULL ? "; to copy the file as it is, use --to " : "", copy != NULL ? copy : "",
                     unknown ? "; if its numbers need no scale, use --allow-unscaled REGEX" : "");
}
