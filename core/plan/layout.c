/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Asks the container for the places of tensors and checks them. files.c calls it when all tensors are planned. */
#include "plan/layout.h"

#include "io/directory.h"

/* Fails unless the hook kept the tensors and their order is that of the file. @tensors: before the hook; @before: what
   they were */
static gboolean
check_layout (const Layout *l, const QconvContainer *c, const GPtrArray *tensors, const QconvTensor *before,
              GError **error)
{
  const Hook hook = { "container", c, "lay_out", NULL };
  g_autoptr (GHashTable) left = g_hash_table_new (NULL, NULL);
  guint64 end = l->header->len;

  for (guint i = 0; i < l->n; i++)
    g_hash_table_add (left, g_ptr_array_index (tensors, i));
  for (guint i = 0; i < l->n; i++)
    {
      const QconvTensor *t = l->tensors[i];

      if (!g_hash_table_remove (left, t))
        return qconv_hook_broke (&hook, error, "lost a tensor or lists one twice");
      if (t->offset < end || !g_uint64_checked_add (&end, t->offset, t->n_bytes))
        return qconv_hook_broke (&hook, error, "puts tensor \"%s\" over the header or over another tensor", t->name);
    }
  for (guint i = 0; i < l->n; i++)
    {
      const QconvTensor *t = g_ptr_array_index (tensors, i);

      if (t->n_bytes != before[i].n_bytes || t->dtype != before[i].dtype || t->name != before[i].name
          || !qconv_shape_equal (&t->shape, &before[i].shape))
        return qconv_hook_broke (&hook, error, "changed a tensor; it may only set offsets");
    }
  return (end <= l->file_size && l->file_size <= G_MAXINT64)
         || qconv_hook_broke (&hook, error,
                              "states a size of %" G_GUINT64_FORMAT " bytes, but tensors end at %" G_GUINT64_FORMAT,
                              l->file_size, end);
}

gboolean
qconv_layout_make (Layout *l, const QconvContainer *c, const QconvDirectory *metadata, const GPtrArray *tensors,
                   GError **error)
{
  g_autofree QconvTensor *before = g_new (QconvTensor, tensors->len + 1);

  *l = (Layout) { metadata, g_new0 (QconvTensor *, tensors->len + 1), tensors->len, g_byte_array_new (), 0 };
  for (guint i = 0; i < tensors->len; i++)
    {
      l->tensors[i] = g_ptr_array_index (tensors, i);
      before[i] = *l->tensors[i];
    }
  return qconv_call_lay_out (c, l, error) && check_layout (l, c, tensors, before, error);
}

gboolean
qconv_layout_make_whole (Layout *l, const QconvContainer *c, QconvDirectory *planned, GError **error)
{
  g_autoptr (GPtrArray) tensors = g_ptr_array_new ();

  for (guint i = 0; i < qconv_directory_n_tensors (planned); i++)
    g_ptr_array_add (tensors, qconv_directory_planned (planned, i));
  return qconv_layout_make (l, c, planned, tensors, error);
}

void
qconv_layout_clear (Layout *l)
{
  g_clear_pointer (&l->tensors, g_free);
  g_clear_pointer (&l->header, g_byte_array_unref);
}
