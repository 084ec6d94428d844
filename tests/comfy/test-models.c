/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tests models besides their layers: tensors that ComfyUI's loaders need, and tensors that they do not use. */
#include <string.h>

#include "fixture.h"

static void
add (Builder *b, const char *name, guint rows, guint cols)
{
  g_autofree char *shape = cols > 0 ? g_strdup_printf ("[%u,%u]", rows, cols) : g_strdup_printf ("[%u]", rows);

  builder_add (b, name, "BF16", shape, NULL, (gsize) rows * MAX (cols, 1) * 2);
}

static void
collect (const char *message, gpointer data)
{
  g_string_append_printf (data, "%s\n", message);
}

/* Returns: (transfer full): the written file. @warnings: those of the conversion */
static QconvModel *
plan_and_run (const char *input, const char *target, GString *warnings)
{
  g_autofree char *output = scratch_path ("out.safetensors");
  /* The models of these tests have only the tensors that matter */
  QconvJob job = { .target = target,
                   .output = output,
                   .names.allow_incomplete = TRUE,
                   .run.force = TRUE,
                   .run.n_threads = 1,
                   .warn = collect,
                   .warn_data = warnings };
  g_autoptr (QconvModel) m = open_model (input, NULL);
  g_autoptr (GError) error = NULL;
  g_autoptr (QconvPlan) plan = qconv_plan_new (m, &job, &error);

  g_assert_no_error (error);
  qconv_plan_run (plan, NULL, NULL, NULL, NULL, &error);
  g_assert_no_error (error);
  return open_model (output, NULL);
}

static gboolean
has_tensor (const QconvModel *m, const char *name)
{
  return qconv_directory_find (qconv_model_directory (m), name) != NULL;
}

/* Tests that a second copy of the embedding is dropped, that the only copy stays, and that both stay in a plain
   file. */
static void
test_tied (void)
{
  for (gboolean shared = FALSE; shared <= TRUE; shared++)
    for (gboolean plain = FALSE; plain <= TRUE; plain++)
      {
        g_autoptr (Builder) b = builder_new ();
        g_autoptr (GString) warnings = g_string_new (NULL);
        g_autoptr (QconvModel) m = NULL;
        g_autofree char *input = NULL;
        gboolean dropped = shared && !plain;

        add (b, "encoder.final_layer_norm.weight", 64, 0);
        add (b, "encoder.block.0.layer.0.layer_norm.weight", 64, 0);
        add (b, "encoder.embed_tokens.weight", 40, 64);
        if (shared)
          add (b, "shared.weight", 40, 64);
        add (b, "decoder.final_layer_norm.weight", 64, 0);
        input = builder_write (b, "t5.safetensors");
        m = plan_and_run (input, plain ? "bf16-safetensors" : "fp8-comfy", warnings);
        g_assert_true (has_tensor (m, "encoder.embed_tokens.weight") != dropped);
        g_assert_true (has_tensor (m, "decoder.final_layer_norm.weight") == plain);
        g_assert_true ((strstr (warnings->str, "left out") != NULL) != plain);
      }
}

/* Tests LTX-2.3, which only the metadata distinguish from LTX-2. */
static void
test_config (void)
{
  for (gboolean told = FALSE; told <= TRUE; told++)
    {
      g_autoptr (Builder) b = builder_new ();
      g_autoptr (GString) warnings = g_string_new (NULL);
      g_autoptr (QconvModel) m = NULL;
      g_autofree char *input = NULL;

      add (b, "audio_adaln_single.linear.bias", 64, 0);
      add (b, "adaln_single.emb.timestep_embedder.linear_1.bias", 64, 0);
      add (b, "transformer_blocks.0.audio_scale_shift_table", 9, 64);
      add (b, "transformer_blocks.0.prompt_scale_shift_table", 2, 64);
      if (told)
        builder_add_metadata (b, "config", "{}");
      input = builder_write (b, "ltx.safetensors");
      m = plan_and_run (input, "fp8-comfy", warnings);
      g_assert_cmpstr (qconv_model_variant (m), ==, "2.3-22b");
      g_assert_true (
          (strstr (warnings->str, "--metadata 'config={\"transformer\":{\"apply_gated_attention\":true") != NULL)
          != told);
    }
}

/* Tests that a tensor that the family does not know stays, unless the user names it. */
static void
test_strangers (void)
{
  g_autoptr (Builder) b = builder_new ();
  g_autoptr (GString) warnings = g_string_new (NULL);
  g_autoptr (QconvModel) m = NULL;
  g_autoptr (GArray) weights = NULL;
  g_autofree char *input = NULL;

  add (b, "encoder.final_layer_norm.weight", 64, 0);
  add (b, "encoder.block.0.layer.0.layer_norm.weight", 64, 0);
  add (b, "encoder.block.0.layer.0.SelfAttention.o.weight", 256, 256);
  add (b, "ip_adapter.0.weight", 256, 256);
  input = builder_write (b, "t5.safetensors");
  m = plan_and_run (input, "fp8-comfy", warnings);
  weights = qconv_model_weights (m);
  for (guint i = 0; i < weights->len; i++)
    {
      const QconvWeightInfo *w = &g_array_index (weights, QconvWeightInfo, i);

      if (w->shape.rank == 2)
        g_assert_cmpstr (w->scheme, ==, strstr (w->name, "ip_adapter") != NULL ? "plain" : "fp8");
    }
  g_assert_cmpuint (weights->len, ==, 4);
}

int
main (int argc, char **argv)
{
  int status;

  g_test_init (&argc, &argv, NULL);
  scratch_begin ();
  g_test_add_func ("/comfy/models/tied", test_tied);
  g_test_add_func ("/comfy/models/config", test_config);
  g_test_add_func ("/comfy/models/strangers", test_strangers);
  status = g_test_run ();
  scratch_end ();
  return status;
}
