/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Converts models on the processor or on the backend "fake", and keeps what came of it. */
#include "conversion.h"

#include <glib/gstdio.h>
#include <string.h>

#include "../conformance/sample.h"

FakeControl *fake;
char *layers, *family, *blocks;
const char *const *odd_only, *const *merged;

void
clear_result (Result *r)
{
  g_clear_pointer (&r->bytes, g_bytes_unref);
  g_clear_pointer (&r->warnings, g_ptr_array_unref);
  g_clear_error (&r->error);
}

static void
note_warning (const char *line, gpointer data)
{
  g_ptr_array_add (data, g_strdup (line));
}

const char *
input_of (const char *target)
{
  return sample_needs_family (target) ? family : layers;
}

char *
output_of (const char *target, const char *input)
{
  g_autofree char *stem = g_path_get_basename (input), *name = g_strconcat ("from-", stem, NULL);

  return sample_output (target, name);
}

/* Adds F32 tensor @name to a file of @header and @bytes */
static void
add_tensor (GString *header, GByteArray *bytes, const char *name, guint rows, guint cols)
{
  guint start = bytes->len;

  for (guint i = 0; i < rows * cols; i++)
    {
      float value = (float) ((i * 37 + start / 4) % 101) / 500 - 0.1f;

      g_byte_array_append (bytes, (const guint8 *) &value, sizeof value);
    }
  g_string_append_printf (header, "%s\"%s\":{\"dtype\":\"F32\",\"shape\":[%u,%u],\"data_offsets\":[%u,%u]}",
                          header->len > 0 ? "," : "{", name, rows, cols, start, bytes->len);
}

char *
make_lora (gboolean host)
{
  static const struct {
    gboolean host;
    const char *name;
    guint rows, cols;
  } tensors[] = {
    { FALSE, "diffusion_model.double_blocks.0.img_attn.qkv.lora_up.weight", 384, 5 },
    { FALSE, "diffusion_model.double_blocks.0.img_attn.qkv.lora_down.weight", 5, 128 },
    { FALSE, "diffusion_model.double_blocks.0.img_mlp.0.diff", 512, 128 },
    { TRUE, "diffusion_model.double_blocks.0.img_attn.qkv.hada_w1_a", 384, 2 },
    { TRUE, "diffusion_model.double_blocks.0.img_attn.qkv.hada_w1_b", 2, 128 },
    { TRUE, "diffusion_model.double_blocks.0.img_attn.qkv.hada_w2_a", 384, 2 },
    { TRUE, "diffusion_model.double_blocks.0.img_attn.qkv.hada_w2_b", 2, 128 },
  };
  g_autoptr (GString) header = g_string_new (NULL);
  g_autoptr (GByteArray) bytes = g_byte_array_new ();
  g_autoptr (GBytes) file = NULL;
  guint64 size;

  for (guint i = 0; i < G_N_ELEMENTS (tensors); i++)
    if (tensors[i].host == host)
      add_tensor (header, bytes, tensors[i].name, tensors[i].rows, tensors[i].cols);
  g_string_append_c (header, '}');
  size = header->len;
  g_byte_array_prepend (bytes, (const guint8 *) header->str, (guint) header->len);
  g_byte_array_prepend (bytes, (const guint8 *) &size, sizeof size);
  file = g_byte_array_free_to_bytes (g_steal_pointer (&bytes));
  return sample_write (file, g_bytes_get_size (file), host ? "host.safetensors" : "lora.safetensors");
}

Result
convert (const char *input, const char *target, const Way *way)
{
  g_autofree char *output = output_of (target, input);
  g_autoptr (QconvModel) model = NULL;
  g_autoptr (QconvPlan) plan = NULL;
  Result r = { .warnings = g_ptr_array_new_with_free_func (g_free) };
  const QconvJob job = { .target = target,
                         .output = output,
                         .rules.only = odd_only != NULL ? odd_only : sample_only (target),
                         .lora.files = merged,
                         .options = way->options != NULL ? way->options : sample_quick_options (target),
                         .run.n_threads = way->n_threads > 0 ? way->n_threads : 2,
                         .run.device = way->device,
                         .run.device_memory = way->device_memory,
                         .run.force = TRUE,
                         .run.no_verify = TRUE,
                         .warn = note_warning,
                         .warn_data = r.warnings };

  g_unlink (output);
  model = qconv_model_open (input, NULL, &r.error);
  g_assert_no_error (r.error);
  plan = qconv_plan_new (model, &job, &r.error);
  if (plan != NULL && qconv_plan_run (plan, NULL, NULL, NULL, NULL, &r.error))
    r.bytes = sample_read (output);
  else
    g_assert_false (g_file_test (output, G_FILE_TEST_EXISTS));
  return r;
}

void
reset_fake (void)
{
  g_assert_cmpuint (fake->n_devices, ==, 0);
  memset (fake, 0, sizeof *fake);
}

guint
count_runs (const char *name)
{
  const GPtrArray *all = qconv_registry_backends ();
  const QconvBackendInfo *first = g_ptr_array_index (all, 0);
  const QconvOp *ops = first->backend->ops;
  guint n = 0;

  for (guint i = 0; ops[i].name != NULL; i++)
    n += strcmp (ops[i].name, name) == 0 ? fake->runs[i] : 0;
  return n;
}

void
assert_same (const Result *got, const Result *want)
{
  g_assert_no_error (got->error);
  g_assert_true (g_bytes_equal (got->bytes, want->bytes));
}
