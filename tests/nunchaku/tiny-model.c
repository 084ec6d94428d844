/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Makes the models of tiny-model.h from numbers that are all alike. */
#include "tiny-model.h"

#include <string.h>

/* ---- Parts ---- */

static void
put (const TinyModel *m, const char *name, const char *dtype, const char *shape, const guint16 *items, gsize n)
{
  GString *spelled = g_string_new (name);

  if (m->from != NULL)
    g_string_replace (spelled, m->from, m->to, 0);
  builder_add (m->b, spelled->str, dtype, shape, items, n);
  g_string_free (spelled, TRUE);
}

static guint16 *
filled (gsize n, guint16 fill)
{
  guint16 *items = g_new (guint16, n / 2 + 1);

  for (gsize i = 0; i < n / 2 + 1; i++)
    items[i] = GUINT16_TO_LE (fill);
  return items;
}

/* Adds a tensor of @n bytes, unless it is the one that is damaged. */
static void
add (TinyModel *m, const char *module, const char *member, const char *dtype, guint64 rows, guint64 cols, gsize n,
     guint16 fill)
{
  const Damage *d = m->damage;
  g_autofree char *name = g_strconcat (module, member, NULL);
  g_autofree char *shape
      = cols > 0 ? g_strdup_printf ("[%u, %u]", (guint) rows, (guint) cols) : g_strdup_printf ("[%u]", (guint) rows);
  g_autofree guint16 *items = filled (n, fill);

  if (d == NULL || d->tensor == NULL || strcmp (d->tensor, name) != 0)
    {
      put (m, name, dtype, shape, items, n);
      return;
    }
  m->found = TRUE;
  if (d->patch)
    {
      memcpy ((guint8 *) items + d->at, &(guint16) { GUINT16_TO_LE (d->fill) }, 2);
      put (m, name, dtype, shape, items, n);
    }
  else if (d->dtype != NULL)
    {
      g_autofree guint16 *others = filled (d->n, d->fill);

      put (m, name, d->dtype, d->shape, others, d->n);
    }
}

static void
add_linear (TinyModel *m, const char *module, guint rows, guint cols)
{
  add (m, module, ".weight", "BF16", rows, cols, rows * cols * 2, 0x3f80);
  add (m, module, ".bias", "BF16", rows, 0, rows * 2, 0);
}

/* Codes, scales, smoothing factors and factors of 1; a bias of zeros */
static void
add_w4a4 (TinyModel *m, const char *module, guint rows, guint cols)
{
  guint groups = cols / (m->fp4 ? 16 : 64), rank = m->rank > 0 ? m->rank : 16;
  gboolean second = m->kind == TINY_QWEN_IMAGE || m->kind == TINY_Z_IMAGE;
  gboolean query = g_str_has_suffix (module, "to_qkv") || g_str_has_suffix (module, "to_q");

  if (m->plain != NULL && strcmp (m->plain, module) == 0)
    {
      add_linear (m, module, rows, cols);
      return;
    }
  add (m, module, ".qweight", "I8", rows, cols / 2, rows * (cols / 2), 0x1111);
  add (m, module, ".wscales", m->fp4 ? "F8_E4M3" : "BF16", groups, rows, (gsize) groups * rows * (m->fp4 ? 1 : 2),
       m->fp4 ? 0x3838 : 0x3f80);
  if (m->fp4)
    add (m, module, ".wtscale", "BF16", 1, 0, 2, 0x3f80);
  if (m->kind != TINY_Z_IMAGE && !(m->kind == TINY_SDXL && query))
    add (m, module, ".bias", "BF16", rows, 0, rows * 2, 0);
  add (m, module, second ? ".smooth_factor" : ".smooth", "BF16", cols, 0, cols * 2, 0x3f80);
  add (m, module, second ? ".smooth_factor_orig" : ".smooth_orig", "BF16", cols, 0, cols * 2, 0x3f80);
  add (m, module, second ? ".proj_down" : ".lora_down", "BF16", cols, rank, cols * rank * 2, 0x3f80);
  add (m, module, second ? ".proj_up" : ".lora_up", "BF16", rows, rank, rows * rank * 2, 0x3f80);
}

static void
add_awq (TinyModel *m, const char *module, guint rows)
{
  add (m, module, ".qweight", "I32", rows / 4, WIDTH / 2, rows * WIDTH / 2, 0x3333);
  add (m, module, ".wscales", "BF16", WIDTH / 64, rows, WIDTH / 64 * rows * 2, 0x3f80);
  add (m, module, ".wzeros", "BF16", WIDTH / 64, rows, WIDTH / 64 * rows * 2, 0xc000);
  add (m, module, ".bias", "BF16", rows, 0, rows * 2, 0x3f80);
}

static void
add_norm (TinyModel *m, const char *module, guint n)
{
  add (m, module, ".weight", "BF16", n, 0, 2 * n, 0x3f80);
}

/* ---- Models ---- */

static void
add_flux (TinyModel *m)
{
  static const char *const norms[] = { DOUBLE "norm_q",       DOUBLE "norm_k", DOUBLE "norm_added_q",
                                       DOUBLE "norm_added_k", SINGLE "norm_q", SINGLE "norm_k" };
  static const char *const w4a4[]
      = { DOUBLE "qkv_proj", DOUBLE "qkv_proj_context", SINGLE "qkv_proj",        DOUBLE "out_proj",
          SINGLE "out_proj", DOUBLE "out_proj_context", DOUBLE "mlp_context_fc1", DOUBLE "mlp_fc1",
          SINGLE "mlp_fc1",  DOUBLE "mlp_fc2",          DOUBLE "mlp_context_fc2", SINGLE "mlp_fc2" };

  for (guint i = 0; i < G_N_ELEMENTS (w4a4); i++)
    add_w4a4 (m, w4a4[i], (i < 3 ? 3 : i >= 6 && i < 9 ? 4 : 1) * WIDTH, (i >= 9 ? 4 : 1) * WIDTH);
  add_awq (m, DOUBLE "norm1.linear", 6 * WIDTH);
  add_awq (m, DOUBLE "norm1_context.linear", 6 * WIDTH);
  add_awq (m, SINGLE "norm.linear", 3 * WIDTH);
  for (guint i = 0; i < G_N_ELEMENTS (norms); i++)
    add_norm (m, norms[i], 64);
  add_linear (m, "x_embedder", WIDTH, 64);
  add_linear (m, "context_embedder", WIDTH, 32);
  add_linear (m, "time_text_embed.timestep_embedder.linear_1", WIDTH, 256);
  add_linear (m, "time_text_embed.timestep_embedder.linear_2", WIDTH, WIDTH);
  add_linear (m, "time_text_embed.guidance_embedder.linear_1", WIDTH, 256);
  add_linear (m, "time_text_embed.guidance_embedder.linear_2", WIDTH, WIDTH);
  add_linear (m, "time_text_embed.text_embedder.linear_1", WIDTH, 16);
  add_linear (m, "time_text_embed.text_embedder.linear_2", WIDTH, WIDTH);
  add_linear (m, "norm_out.linear", 2 * WIDTH, WIDTH);
  add_linear (m, "proj_out", 64, WIDTH);
}

/* Writes the model. @key: (nullable): of the metadata, which becomes @text, or is left out if that is NULL */
static void
add_qwen_image (TinyModel *m)
{
  add_awq (m, DOUBLE "img_mod.1", 6 * WIDTH);
  add_awq (m, DOUBLE "txt_mod.1", 6 * WIDTH);
  add_w4a4 (m, DOUBLE "attn.to_qkv", 3 * WIDTH, WIDTH);
  add_w4a4 (m, DOUBLE "attn.add_qkv_proj", 3 * WIDTH, WIDTH);
  add_w4a4 (m, DOUBLE "attn.to_out.0", WIDTH, WIDTH);
  add_w4a4 (m, DOUBLE "attn.to_add_out", WIDTH, WIDTH);
  add_w4a4 (m, DOUBLE "img_mlp.net.0.proj", 4 * WIDTH, WIDTH);
  add_w4a4 (m, DOUBLE "img_mlp.net.2", WIDTH, 4 * WIDTH);
  add_w4a4 (m, DOUBLE "txt_mlp.net.0.proj", 4 * WIDTH, WIDTH);
  add_w4a4 (m, DOUBLE "txt_mlp.net.2", WIDTH, 4 * WIDTH);
  add_norm (m, DOUBLE "attn.norm_q", 64);
  add_norm (m, DOUBLE "attn.norm_k", 64);
  add_norm (m, DOUBLE "attn.norm_added_q", 64);
  add_norm (m, DOUBLE "attn.norm_added_k", 64);
  add_linear (m, "img_in", WIDTH, 64);
  add_linear (m, "txt_in", WIDTH, 32);
  add_norm (m, "txt_norm", 32);
  add_linear (m, "time_text_embed.timestep_embedder.linear_1", WIDTH, 256);
  add_linear (m, "time_text_embed.timestep_embedder.linear_2", WIDTH, WIDTH);
  add_linear (m, "norm_out.linear", 2 * WIDTH, WIDTH);
  add_linear (m, "proj_out", 64, WIDTH);
}

/* Adds a block of Z-Image. @plain: its weights stay as they are; the strict loader of a refiner has them apart */
static void
add_z_image_block (TinyModel *m, const char *stem, gboolean plain)
{
  static const struct {
    const char *name;
    guint rows, cols;
  } weights[] = { { "attention.to_qkv", 3, 1 },   { "attention.to_out.0", 1, 1 }, { "feed_forward.net.0.proj", 6, 1 },
                  { "feed_forward.net.2", 1, 3 }, { "attention.to_q", 1, 1 },     { "attention.to_k", 1, 1 },
                  { "attention.to_v", 1, 1 } };
  static const char *const norms[]
      = { "attention.norm_q", "attention.norm_k", "attention_norm1", "attention_norm2", "ffn_norm1", "ffn_norm2" };

  for (guint i = plain ? 1 : 0; i < (plain ? G_N_ELEMENTS (weights) : 4); i++)
    {
      g_autofree char *name = g_strconcat (stem, weights[i].name, NULL);
      guint rows = weights[i].rows * WIDTH, cols = weights[i].cols * WIDTH;

      if (plain)
        add (m, name, ".weight", "BF16", rows, cols, rows * cols * 2, 0x3f80);
      else
        add_w4a4 (m, name, rows, cols);
    }
  for (guint i = 0; i < G_N_ELEMENTS (norms); i++)
    {
      g_autofree char *name = g_strconcat (stem, norms[i], NULL);

      add_norm (m, name, i < 2 ? 64 : WIDTH);
    }
}

static void
add_z_image (TinyModel *m)
{
  add_z_image_block (m, "layers.0.", FALSE);
  add_z_image_block (m, "noise_refiner.0.", m->plain_refiners);
  add_z_image_block (m, "context_refiner.0.", m->plain_refiners);
  add_linear (m, "layers.0.adaLN_modulation.0", 4 * WIDTH, 32);
  add_linear (m, "noise_refiner.0.adaLN_modulation.0", 4 * WIDTH, 32);
  add_linear (m, "all_x_embedder.2-1", WIDTH, 64);
  add_linear (m, "all_final_layer.2-1.linear", 64, WIDTH);
  add_linear (m, "all_final_layer.2-1.adaLN_modulation.1", WIDTH, 32);
  add_linear (m, "t_embedder.mlp.0", 64, 256);
  add_linear (m, "t_embedder.mlp.2", 32, 64);
  add_norm (m, "cap_embedder.0", 32);
  add_linear (m, "cap_embedder.1", WIDTH, 32);
  add (m, "x_pad_token", "", "BF16", 1, WIDTH, 2 * WIDTH, 0);
  add (m, "cap_pad_token", "", "BF16", 1, WIDTH, 2 * WIDTH, 0);
}

static void
add_sdxl (TinyModel *m)
{
  add_w4a4 (m, MIDDLE "attn1.to_qkv", 3 * WIDTH, WIDTH);
  add_w4a4 (m, MIDDLE "attn1.to_out.0", WIDTH, WIDTH);
  add_w4a4 (m, MIDDLE "attn2.to_q", WIDTH, WIDTH);
  add_w4a4 (m, MIDDLE "attn2.to_out.0", WIDTH, WIDTH);
  add_w4a4 (m, MIDDLE "ff.net.0.proj", 8 * WIDTH, WIDTH);
  add_w4a4 (m, MIDDLE "ff.net.2", WIDTH, 4 * WIDTH);
  add (m, MIDDLE "attn2.to_k", ".weight", "BF16", WIDTH, 32, 2 * WIDTH * 32, 0x3f80);
  for (guint i = 0; i < 3; i++)
    {
      g_autofree char *norm = g_strdup_printf (MIDDLE "norm%u", i + 1);

      add_norm (m, norm, WIDTH);
      add (m, norm, ".bias", "BF16", WIDTH, 0, 2 * WIDTH, 0);
    }
  add_norm (m, "conv_in", WIDTH / 4);
  add (m, "conv_in", ".bias", "BF16", WIDTH / 4, 0, WIDTH / 2, 0);
}

char *
tiny_write (TinyModel *m, const char *key, const char *text)
{
  static void (*const makers[]) (TinyModel *) = { add_flux, add_qwen_image, add_z_image, add_sdxl };
  const char *const metadata[][2] = {
    { "config", CONFIG ("1", "64", "true") },
    { "quantization_config", m->fp4 ? FP4 (", \"rank\": 16") : INT4 (", \"rank\": 16") },
    { "model_class", "NunchakuFluxTransformer2dModel" },
    { "comfy_config", COMFY ("\"Flux\"", "\"depth\": 1, ") },
  };
  g_autoptr (Builder) b = builder_new ();
  const Damage *d = m->damage;

  m->b = b;
  makers[m->kind](m);
  if (d != NULL && d->tensor != NULL && !m->found)
    {
      g_autofree guint16 *items = filled (d->n, d->fill);

      put (m, d->tensor, d->dtype, d->shape, items, d->n);
    }
  for (guint i = 0; i < (m->kind == TINY_FLUX ? G_N_ELEMENTS (metadata) : 3);
       i++) /* comfy_config is for FLUX.1 alone */
    if (key == NULL || strcmp (key, metadata[i][0]) != 0)
      builder_add_metadata (b, metadata[i][0], metadata[i][1]);
  if (text != NULL)
    builder_add_metadata (b, key, text);
  return builder_write (b, "case.safetensors");
}

char *
tiny_report (const char *path, char **notes)
{
  const QconvOpenOptions open = { .for_verify = TRUE };
  g_autoptr (GError) error = NULL;
  g_autoptr (QconvModel) m = qconv_model_open (path, &open, &error);
  g_autoptr (QconvReport) r = NULL;
  GString *lines = g_string_new (NULL);

  g_assert_no_error (error);
  r = qconv_model_verify (m, &(QconvVerifyOptions) { .n_threads = 2 }, &error);
  g_assert_no_error (error);
  for (guint i = 0; i < r->problems->len; i++)
    {
      const QconvProblem *p = g_ptr_array_index (r->problems, i);

      g_string_append_printf (lines, "%s%s%s: %s\n", p->layer != NULL ? p->layer : "", p->layer != NULL ? ": " : "",
                              p->code, p->message);
    }
  for (guint i = 0; i < r->warnings->len; i++)
    g_string_append_printf (lines, "warning: %s\n", (const char *) g_ptr_array_index (r->warnings, i));
  g_assert_cmpint (r->ok, ==, r->problems->len == 0);
  g_assert_cmpuint (r->notes->len, ==, 1);
  if (notes != NULL)
    *notes = g_strdup (g_ptr_array_index (r->notes, 0));
  return g_string_free (lines, FALSE);
}
