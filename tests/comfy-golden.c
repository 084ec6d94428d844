/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Walks the layers of ComfyUI's golden files, for tests of single quantizers. */
#include "comfy-golden.h"

#include <string.h>

static const GoldenTensor *
find_tensor (const GoldenFile *file, const char *name)
{
  for (guint i = 0; i < file->tensors->len; i++)
    if (strcmp (((const GoldenTensor *) file->tensors->pdata[i])->name, name) == 0)
      return file->tensors->pdata[i];
  return NULL;
}

const GoldenTensor *
comfy_golden_tensor (const ComfyGolden *g, const char *suffix)
{
  g_autofree char *name = g_strdup_printf ("%s.%s", g->layer, suffix);

  return find_tensor (g->file, name);
}

static guint
check_file (const char *name, const char *mode, void (*check) (const ComfyGolden *g))
{
  static const QconvDType dtypes[] = { QCONV_F32, QCONV_F16, QCONV_BF16 };
  g_autofree char *relative = g_build_filename ("comfy", name, NULL);
  g_autoptr (GoldenFile) file = golden_file_open (relative);
  g_auto (GStrv) parts = g_strsplit (name, ".", 3);
  guint n = 0;

  for (guint i = 0; i < G_N_ELEMENTS (dtypes); i++)
    {
      g_autofree char *type = g_ascii_strdown (qconv_dtype_name (dtypes[i]), -1);
      g_autofree char *layer = g_strdup_printf ("%s.%s", type, mode), *source = g_strdup_printf ("src.%s", type);
      ComfyGolden g = { file, parts[0], parts[1], layer, dtypes[i], find_tensor (file, source), 0, 0, FALSE };

      if (g.source == NULL || comfy_golden_tensor (&g, "weight") == NULL)
        continue;
      g.rows = g.source->shape[0];
      g.cols = g.source->shape[1];
      g.informative = golden_file_informative (file, layer);
      g_test_message ("%s %s", name, layer);
      check (&g);
      n++;
    }
  return n;
}

guint
comfy_golden_each (const char *prefix, const char *mode, void (*check) (const ComfyGolden *g))
{
  g_autofree char *folder = golden_path ("comfy");
  g_autoptr (GError) error = NULL;
  g_autoptr (GDir) dir = g_dir_open (folder, 0, &error);
  guint n = 0;

  g_assert_no_error (error);
  for (const char *name = g_dir_read_name (dir); name != NULL; name = g_dir_read_name (dir))
    if (g_str_has_prefix (name, prefix))
      n += check_file (name, mode, check);
  return n;
}
