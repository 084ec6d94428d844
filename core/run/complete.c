/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Lets a container read the written file and write the bytes that no tensor owns. */
#include "run/complete.h"

struct _QconvFile {
  const Layout *layout;
  Save *save;
  GCancellable *cancellable;
};

/* Returns the first tensor that ends behind @offset and is not empty; NULL if there is none. Tensors are in the order
   of the file */
static const QconvTensor *
next_tensor (const Layout *l, guint64 offset)
{
  guint low = 0, high = l->n;

  while (low < high)
    {
      guint middle = low + (high - low) / 2;

      if (l->tensors[middle]->offset + l->tensors[middle]->n_bytes > offset)
        high = middle;
      else
        low = middle + 1;
    }
  while (low < l->n && l->tensors[low]->n_bytes == 0)
    low++;
  return low < l->n ? l->tensors[low] : NULL;
}

/* Fails if the run was cancelled or the range leaves the file */
static gboolean
check_call (const QconvFile *f, guint64 offset, gsize n, GError **error)
{
  guint64 size = f->layout->file_size;

  if (g_cancellable_set_error_if_cancelled (f->cancellable, error))
    return FALSE;
  return (offset <= size && n <= size - offset)
         || qconv_fail (error, QCONV_ERROR_BUG,
                        "%" G_GSIZE_FORMAT " bytes at %" G_GUINT64_FORMAT " are past the planned end of the output", n,
                        offset);
}

gboolean
qconv_file_read (QconvFile *f, guint64 offset, gsize n, void *dst, GError **error)
{
  g_return_val_if_fail (f != NULL && (dst != NULL || n == 0), FALSE);
  return check_call (f, offset, n, error) && qconv_save_read (f->save, offset, dst, n, error);
}

gboolean
qconv_file_write (QconvFile *f, guint64 offset, gsize n, gconstpointer src, GError **error)
{
  const QconvTensor *t;

  g_return_val_if_fail (f != NULL && (src != NULL || n == 0), FALSE);
  if (!check_call (f, offset, n, error))
    return FALSE;
  t = n > 0 ? next_tensor (f->layout, offset) : NULL;
  if (t != NULL && t->offset < offset + n)
    return qconv_fail (error, QCONV_ERROR_BUG,
                       "%" G_GSIZE_FORMAT " bytes at %" G_GUINT64_FORMAT " would overwrite tensor \"%s\"", n, offset,
                       t->name);
  return qconv_save_write (f->save, offset, src, n, error);
}

gboolean
qconv_complete_file (const QconvContainer *c, const Layout *layout, Save *save, GCancellable *cancellable,
                     GError **error)
{
  QconvFile file = { layout, save, cancellable };

  return c->complete == NULL || qconv_call_complete (c, layout, &file, error);
}
