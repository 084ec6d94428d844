/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tests that a conversion reads no more bytes than the file has, and a tenth, in few reads, also if rows of the weight
   are columns of the stored tensors, and if a quantizer has a pass. Linux counts what this process reads. */
#include <string.h>

#include "maker.h"

/* Reads of one layer: its codes in large pieces, and scales and zeros of each of its groups */
#define MOST_READS 150

/* A layer of 2048 × 2048 weights; all tensors hold zeros */
typedef struct {
  const char *title;
  struct {
    const char *name, *dtype, *shape;
    gsize bytes;
  } members[3];
} Form;

static const Form forms[] = {
  { "gptq",
    { { "m.qweight", "I32", "[256, 2048]", 2 << 20 },
      { "m.qzeros", "I32", "[16, 256]", 16 << 10 },
      { "m.scales", "F16", "[16, 2048]", 64 << 10 } } },
  { "awq",
    { { "m.qweight", "I32", "[2048, 256]", 2 << 20 },
      { "m.qzeros", "I32", "[16, 256]", 16 << 10 },
      { "m.scales", "F16", "[16, 2048]", 64 << 10 } } },
  { "fp8",
    { { "m.weight", "F8_E4M3", "[2048, 2048]", 4 << 20 }, { "m.weight_scale_inv", "F32", "[16, 16]", 1 << 10 } } },
};

/* Reads the number behind @key in /proc/self/io. Returns FALSE if this system has none */
static gboolean
read_counter (const char *key, guint64 *n)
{
  g_autofree char *text = NULL;
  const char *at;

  if (!g_file_get_contents ("/proc/self/io", &text, NULL, NULL) || (at = strstr (text, key)) == NULL)
    return FALSE;
  *n = g_ascii_strtoull (at + strlen (key), NULL, 10);
  return TRUE;
}

/* Returns: (transfer full): the path of a model with the layer. Adds its bytes to @bytes */
static char *
write_form (const Form *f, guint64 *bytes)
{
  g_autoptr (Builder) b = builder_new ();

  write_beside ("config.json", NULL);
  for (guint i = 0; i < G_N_ELEMENTS (f->members) && f->members[i].name != NULL; i++)
    {
      builder_add (b, f->members[i].name, f->members[i].dtype, f->members[i].shape, NULL, f->members[i].bytes);
      *bytes += f->members[i].bytes;
    }
  return builder_write (b, "reads.safetensors");
}

/* Runs the plan for @target and asserts that it reads @most bytes at most */
static void
count_reads (const char *input, const char *target, guint64 most)
{
  g_autofree char *out = scratch_path ("out.safetensors");
  const QconvJob job
      = { .target = target, .output = out, .run.force = TRUE, .run.no_verify = TRUE, .run.n_threads = 1 };
  g_autoptr (QconvModel) m = open_model (input, NULL);
  g_autoptr (GError) error = NULL;
  g_autoptr (QconvPlan) plan = qconv_plan_new (m, &job, &error);
  guint64 bytes[2] = { 0 }, reads[2] = { 0 };

  g_assert_no_error (error);
  read_counter ("rchar: ", &bytes[0]);
  read_counter ("syscr: ", &reads[0]);
  qconv_plan_run (plan, NULL, NULL, NULL, NULL, &error);
  g_assert_no_error (error);
  read_counter ("rchar: ", &bytes[1]);
  read_counter ("syscr: ", &reads[1]);
  g_test_message ("%s: %" G_GUINT64_FORMAT " bytes in %" G_GUINT64_FORMAT " reads", target, bytes[1] - bytes[0],
                  reads[1] - reads[0]);
  g_assert_cmpuint (bytes[1] - bytes[0], <=, most);
  g_assert_cmpuint (reads[1] - reads[0], <=, MOST_READS);
}

/* Files of NVFP4 read their block scales back, a sixteenth of a byte a weight, because those are written out of order
   and have a checksum */
static void
test_reads (gconstpointer data)
{
  guint64 bytes = 0, n;
  g_autofree char *input = write_form (data, &bytes);

  if (!read_counter ("rchar: ", &n))
    {
      g_test_skip ("this system does not count reads in /proc/self/io");
      return;
    }
  count_reads (input, "bf16-safetensors", bytes + bytes / 10);
  count_reads (input, "nvfp4-comfy", bytes + bytes / 10 + 2048 * 2048 / 16);
}

int
main (int argc, char **argv)
{
  int status;

  g_test_init (&argc, &argv, NULL);
  scratch_begin ();
  for (guint i = 0; i < G_N_ELEMENTS (forms); i++)
    {
      g_autofree char *path = g_strconcat ("/llm/reads/", forms[i].title, NULL);

      g_test_add_data_func (path, &forms[i], test_reads);
    }
  status = g_test_run ();
  scratch_end ();
  return status;
}
