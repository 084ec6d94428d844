/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Finds the tensors of a layer by name, and the row of its format that each one belongs to. */
#include "members.h"

static guint
count_rows (const ComfyMember *rows)
{
  guint n = 0;

  while (rows != NULL && rows[n].suffix != NULL)
    n++;
  return n;
}

void
comfy_members_find (ComfyMembers *m, const QconvDirectory *d, const char *layer, const ComfyFormat *format)
{
  guint n = count_rows (format != NULL ? format->members : NULL);

  comfy_members_clear (m);
  m->weight = qconv_directory_find2 (d, layer, ".weight");
  m->bias = qconv_directory_find2 (d, layer, ".bias");
  m->pre_scale = qconv_directory_find2 (d, layer, ".pre_quant_scale");
  m->rows = format != NULL ? format->members : NULL;
  m->named = g_new0 (const QconvTensor *, n + 1);
  m->own = g_new0 (const QconvTensor *, n + 1);
  for (guint i = 0; i < n; i++)
    {
      m->named[i] = qconv_directory_find2 (d, layer, m->rows[i].suffix);
      if (m->named[i] == NULL && m->rows[i].alias != NULL)
        m->named[i] = qconv_directory_find2 (d, layer, m->rows[i].alias);
    }
}

void
comfy_members_clear (ComfyMembers *m)
{
  g_clear_pointer (&m->named, g_free);
  g_clear_pointer (&m->own, g_free);
}

/* Returns the row that owns the tensor of row @i: the first of its suffix that fits, else the last of its suffix. */
static guint
owner_of (const ComfyMembers *m, guint i, const ComfySize *size)
{
  guint last = i;

  for (guint k = 0; m->rows[k].suffix != NULL; k++)
    if (g_str_equal (m->rows[k].suffix, m->rows[i].suffix))
      {
        if (comfy_form_fit (m->rows[k].form, size, m->named[i]) != COMFY_FIT_NOT)
          return k;
        last = k;
      }
  return last;
}

void
comfy_members_fit (ComfyMembers *m, const ComfySize *size)
{
  for (guint i = 0; m->rows != NULL && m->rows[i].suffix != NULL; i++)
    m->own[i] = m->named[i] != NULL && owner_of (m, i, size) == i ? m->named[i] : NULL;
}

const QconvTensor *
comfy_members_named (const ComfyMembers *m, const char *suffix)
{
  for (guint i = 0; m->rows != NULL && m->rows[i].suffix != NULL; i++)
    if (g_str_equal (m->rows[i].suffix, suffix))
      return m->named[i];
  return NULL;
}

const QconvTensor *
comfy_members_own (const ComfyMembers *m, const ComfyMember *row)
{
  return m->own[row - m->rows];
}
