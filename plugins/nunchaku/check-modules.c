/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Checks the modules of a file: all are there, quantized as the model's class has them, of the right size and spelling,
   and there is nothing else. nunchaku's first class for FLUX.1 skips what it does not find, so that a file with a hole
   loads and makes noise; all other classes are strict (nunchaku: src/Module.h, nunchaku/models/transformers). */
#include <string.h>

#include "check.h"
#include "packing.h"

/**
 * Checked: the file that is checked, for all functions below.
 *
 * @by_name: name → NunchakuLook
 * @blocks: the names of blocks that have a tensor, of the stems that were checked, with the dot behind them
 */
typedef struct {
  const NunchakuFile *file;
  QconvProblems *problems;
  GHashTable *by_name, *blocks;
} Checked;

/* ---- Members of layers ---- */

static gboolean
is_renamed (NunchakuModel model)
{
  return model == NUNCHAKU_QWEN_IMAGE || model == NUNCHAKU_Z_IMAGE;
}

/* Checks which of the two spellings the members have. No loader changes one into the other. */
static void
check_spelling (const Checked *c, const NunchakuLook *l)
{
  NunchakuSpelling want = is_renamed (c->file->model) ? NUNCHAKU_PROJ_NAMES : NUNCHAKU_LORA_NAMES;

  for (NunchakuMember i = NUNCHAKU_SMOOTH; i <= NUNCHAKU_UP; i++)
    {
      const QconvTensor *t = l->members[i];
      const char *name = t != NULL ? t->name + strlen (l->name) : NULL, *right = nunchaku_member_name (i, want);

      if (name == NULL || strcmp (name, right) == 0)
        continue;
      qconv_problems_add (c->problems, l->name, "names", "%s is called %s in files of this model", name + 1, right + 1);
      return;
    }
}

/* Returns whether strict loaders of the model refuse a bias of the SVDQuant layer @name, because the model has none. */
static gboolean
lacks_bias (NunchakuModel model, const char *name)
{
  return model == NUNCHAKU_Z_IMAGE
         || (model == NUNCHAKU_SDXL && (g_str_has_suffix (name, ".to_qkv") || g_str_has_suffix (name, ".to_q")));
}

/* Checks the members that qconv can do without. */
static void
check_members (const Checked *c, const NunchakuLook *l)
{
  NunchakuModel model = c->file->model;
  gboolean tensor = l->members[NUNCHAKU_WTSCALE] != NULL, rows = l->members[NUNCHAKU_WCSCALES] != NULL;

  if (l->members[NUNCHAKU_BIAS] == NULL
      && (model == NUNCHAKU_FLUX || model == NUNCHAKU_QWEN_IMAGE
          || (model == NUNCHAKU_SDXL && !lacks_bias (model, l->name))))
    qconv_problems_add (c->problems, l->name, "missing", "bias is missing");
  if (l->kind == NUNCHAKU_AWQ)
    return;
  if (l->members[NUNCHAKU_SMOOTH_ORIG] == NULL && model == NUNCHAKU_FLUX)
    qconv_problems_warn_each (c->problems, l->name, "smooth-orig",
                              "smooth_orig is missing, without which nunchaku's class V2 loads no file");
  else if (l->members[NUNCHAKU_SMOOTH_ORIG] == NULL)
    qconv_problems_add (c->problems, l->name, "missing", "%s is missing",
                        is_renamed (model) ? "smooth_factor_orig" : "smooth_orig");
  if (l->kind == NUNCHAKU_FP4 && model == NUNCHAKU_SDXL && !rows)
    qconv_problems_add (c->problems, l->name, "missing", "wcscales is missing, which the class for SDXL needs");
  else if (l->kind == NUNCHAKU_FP4 && tensor == rows)
    qconv_problems_warn_each (c->problems, l->name, "outer-scale",
                              tensor ? "it has both wtscale and wcscales; deepcompressor writes one of them"
                                     : "it has neither wtscale nor wcscales, so that both are 1");
}

static void
check_layer (const Checked *c, const NunchakuLook *l)
{
  if (l->troubles->len > 0) /* which have been reported */
    return;
  check_members (c, l);
  if (c->file->model != NUNCHAKU_OTHER)
    check_spelling (c, l);
  if (nunchaku_name_added (l->name) && l->members[NUNCHAKU_BIAS] != NULL
      && !nunchaku_all_zero (l->members[NUNCHAKU_BIAS]))
    qconv_problems_warn_each (c->problems, l->name, "added-bias",
                              "its bias is not zero, but mlp_fc2 of the same block has the bias of both");
}

/* ---- Modules ---- */

static const QconvTensor *
find (const Checked *c, const char *module, const char *suffix)
{
  return qconv_directory_find2 (c->file->directory, module, suffix);
}

/* Checks rows and columns of a weight. @n: their multiple of the model's width; 0: any. */
static void
check_size (const Checked *c, const NunchakuModule *m, const char *name, guint64 rows, guint64 cols)
{
  guint64 width = c->file->width;

  if (width > 0 && width <= G_MAXUINT32
      && ((m->rows > 0 && rows != m->rows * width) || (m->cols > 0 && cols != m->cols * width)))
    qconv_problems_add (c->problems, name, "shape",
                        "the weight is [%" G_GUINT64_FORMAT ", %" G_GUINT64_FORMAT
                        "], which does not fit a model of the width %" G_GUINT64_FORMAT,
                        rows, cols, width);
}

static void
check_quantized (const Checked *c, const NunchakuModule *m, const char *name)
{
  const NunchakuLook *l = g_hash_table_lookup (c->by_name, name);
  gboolean awq = m->kind == NUNCHAKU_MODULE_AWQ;

  if (l == NULL && find (c, name, ".weight") != NULL)
    qconv_problems_add (c->problems, name, "unquantized", "it has a plain weight where nunchaku loads qweight");
  else if (l == NULL)
    qconv_problems_add (c->problems, name, "missing", "the module is missing");
  else if (l->troubles->len > 0)
    return;
  else if ((l->kind == NUNCHAKU_AWQ) != awq)
    qconv_problems_add (c->problems, name, "kind", "it is %s where nunchaku loads %s", awq ? "SVDQuant" : "AWQ",
                        awq ? "AWQ" : "SVDQuant");
  else
    check_size (c, m, name, l->rows, l->cols);
}

/* Checks a module that is not quantized. Loaders of strict classes want one type for all tensors; others cast. */
static void
check_plain (const Checked *c, const NunchakuModule *m, const char *name)
{
  const QconvTensor *t = find (c, name, m->kind == NUNCHAKU_MODULE_BARE ? "" : ".weight");
  gboolean biased = m->kind == NUNCHAKU_MODULE_LINEAR || m->kind == NUNCHAKU_MODULE_GUIDANCE;

  if (t == NULL || (biased && find (c, name, ".bias") == NULL))
    {
      if (m->kind != NUNCHAKU_MODULE_GUIDANCE || t != NULL || find (c, name, ".bias") != NULL)
        qconv_problems_add (c->problems, name, "missing", "%s is missing",
                            m->kind == NUNCHAKU_MODULE_BARE ? "the tensor"
                            : t == NULL                     ? "weight"
                                                            : "bias");
      return;
    }
  if (t->dtype != QCONV_BF16 && t->dtype != QCONV_F16)
    qconv_problems_warn_each (c->problems, name, "dtype", "it is %s; strict loaders want the 16-bit type of the others",
                              qconv_dtype_name (t->dtype));
  check_size (c, m, name, t->shape.rank > 0 ? t->shape.dim[0] : 0, t->shape.rank > 1 ? t->shape.dim[1] : 0);
}

static void
check_module (const Checked *c, const NunchakuModule *m, const char *block)
{
  g_autofree char *name = g_strconcat (block, m->name, NULL);

  if (m->kind == NUNCHAKU_MODULE_W4A4 || m->kind == NUNCHAKU_MODULE_AWQ)
    check_quantized (c, m, name);
  else
    check_plain (c, m, name);
}

/* Lists the blocks of @stem that have a tensor. */
static void
find_blocks (const Checked *c, const char *stem)
{
  gsize n = strlen (stem);

  for (guint i = 0; i < qconv_directory_n_tensors (c->file->directory); i++)
    {
      const char *name = qconv_directory_tensor (c->file->directory, i)->name;
      gsize digits = g_str_has_prefix (name, stem) ? strspn (name + n, "0123456789") : 0;

      if (digits > 0 && name[n + digits] == '.')
        g_hash_table_add (c->blocks, g_strndup (name, n + digits + 1));
    }
}

/* Checks the modules of all blocks of @stem, or those outside of blocks if it is "". */
static void
check_stem (const Checked *c, const char *stem)
{
  guint64 blocks = *stem != '\0' ? nunchaku_file_blocks (c->file, stem) : 1;

  for (const NunchakuModule *m = nunchaku_modules (); m->name != NULL; m++)
    if (m->model == c->file->model && strcmp (m->stem, stem) == 0)
      blocks = MAX (blocks, m->blocks);
  if (*stem != '\0')
    find_blocks (c, stem);
  for (guint64 i = 0; i < blocks; i++)
    {
      g_autofree char *block = *stem != '\0' ? g_strdup_printf ("%s%" G_GUINT64_FORMAT ".", stem, i) : g_strdup ("");

      if (*stem != '\0' && !g_hash_table_contains (c->blocks, block))
        {
          block[strlen (block) - 1] = '\0';
          qconv_problems_add (c->problems, block, "missing", "the block is missing");
          continue;
        }
      for (const NunchakuModule *m = nunchaku_modules (); m->name != NULL; m++)
        if (nunchaku_file_has (c->file, m) && strcmp (m->stem, stem) == 0)
          check_module (c, m, block);
    }
}

/* ---- Tensors of no module ---- */

static gboolean
knows_member (const NunchakuFile *f, const NunchakuModule *m, const char *member)
{
  static const char *const plain[] = { "weight", "bias", NULL };
  static const char *const awq[] = { "qweight", "wscales", "wzeros", "bias", NULL };
  static const char *const w4a4[] = { "qweight", "wscales", "wtscale", "wcscales", "bias", "weight", NULL };
  static const char *const first[] = { "smooth", "smooth_orig", "lora_down", "lora_up", NULL };
  static const char *const second[] = { "smooth_factor", "smooth_factor_orig", "proj_down", "proj_up", NULL };

  switch (m->kind)
    {
    case NUNCHAKU_MODULE_W4A4:
      if ((lacks_bias (f->model, m->name) && strcmp (member, "bias") == 0)
          || (f->model == NUNCHAKU_SDXL && strcmp (member, "wtscale") == 0))
        return FALSE;
      /* "weight" of a module that was not quantized, and members of the other spelling have been reported */
      return g_strv_contains (w4a4, member) || g_strv_contains (first, member) || g_strv_contains (second, member);
    case NUNCHAKU_MODULE_AWQ:
      return g_strv_contains (awq, member) || strcmp (member, "weight") == 0;
    case NUNCHAKU_MODULE_BARE:
      return TRUE;
    case NUNCHAKU_MODULE_NORM:
      return strcmp (member, "weight") == 0;
    default:
      return g_strv_contains (plain, member);
    }
}

static void
check_unknown (const Checked *c)
{
  const NunchakuFile *f = c->file;

  for (guint i = 0; i < qconv_directory_n_tensors (f->directory); i++)
    {
      const QconvTensor *t = qconv_directory_tensor (f->directory, i);
      const char *member = "";
      const NunchakuModule *m = nunchaku_file_module (f, t->name, &member);

      if ((m != NULL && knows_member (f, m, member)) || (f->skips_refiners && strstr (t->name, "refiner") != NULL))
        continue;
      if (f->model == NUNCHAKU_FLUX)
        qconv_problems_warn_each (
            c->problems, t->name, "unknown",
            "no class for this model has the tensor; the first ignores it, V2 loads no file with it");
      else
        qconv_problems_add (c->problems, t->name, "unknown",
                            "the class for this model has no such tensor and loads no file with it");
    }
}

/* ---- All ---- */

static void
free_checked (Checked *c)
{
  g_hash_table_unref (c->by_name);
  g_hash_table_unref (c->blocks);
}

static Checked
new_checked (const NunchakuFile *f, QconvProblems *problems)
{
  Checked c = { f, problems, g_hash_table_new (g_str_hash, g_str_equal),
                g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL) };

  for (guint i = 0; i < f->looks->len; i++)
    {
      NunchakuLook *l = g_ptr_array_index (f->looks, i);

      g_hash_table_insert (c.by_name, l->name, l);
    }
  return c;
}

void
nunchaku_check_modules (const NunchakuFile *f, QconvProblems *problems)
{
  Checked c = new_checked (f, problems);
  g_autoptr (GHashTable) stems = g_hash_table_new (g_str_hash, g_str_equal);

  for (guint i = 0; i < f->looks->len; i++)
    check_layer (&c, g_ptr_array_index (f->looks, i));
  if (*f->prefix != '\0')
    qconv_problems_add (problems, NULL, "names", "names begin with \"%s\", which no loader of nunchaku takes off",
                        f->prefix);
  else if (f->second_names != NULL)
    qconv_problems_add (
        problems, NULL, "names",
        "layers have the names of nunchaku's class V2, such as %s, under which neither class loads a file",
        f->second_names);
  else if (f->model != NUNCHAKU_OTHER)
    {
      for (const NunchakuModule *m = nunchaku_modules (); m->name != NULL; m++)
        if (m->model == f->model && g_hash_table_add (stems, (gpointer) m->stem))
          check_stem (&c, m->stem);
      check_unknown (&c);
    }
  free_checked (&c);
}
