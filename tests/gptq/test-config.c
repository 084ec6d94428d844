/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tests the JSON beside the weights: which readings of zero points it chooses, what it may say wrongly, and that a user
   hears of both once. */
#include <string.h>

#include "packer.h"

static void
collect (const char *message, gpointer data)
{
  g_ptr_array_add (data, g_strdup (message));
}

/* Returns: (transfer full) (element-type utf8): all warnings of opening @path. @options: (nullable) */
static GPtrArray *
warnings_of (const char *path, const char *const *options)
{
  GPtrArray *lines = g_ptr_array_new_with_free_func (g_free);
  QconvOpenOptions open = { .options = options, .warn = collect, .warn_data = lines };
  g_autoptr (GError) error = NULL;
  g_autoptr (QconvModel) m = qconv_model_open (path, &open, &error);

  g_assert_no_error (error);
  g_assert_nonnull (m);
  return lines;
}

/* Asserts that @path gives one warning, which says @says, or none if @says is NULL. */
static void
assert_warning (const char *path, const char *says, const char *const *options)
{
  g_autoptr (GPtrArray) lines = warnings_of (path, options);

  for (guint i = 0; i < lines->len; i++)
    if (says == NULL || strstr (g_ptr_array_index (lines, i), says) == NULL)
      g_error ("unexpected warning: %s", (const char *) g_ptr_array_index (lines, i));
  g_assert_cmpuint (lines->len, ==, says != NULL ? 1 : 0);
}

/* ---- Zero points ---- */

#define SYM "{\"bits\": 4, \"group_size\": 32, \"sym\": true, "
#define ASYM "{\"bits\": 4, \"group_size\": 32, \"sym\": false, "
#define MODEL "\"meta\": {\"quantizer\": "

/* @json: (nullable); @zero: of the first column, if not -1; @option: (nullable); @says: (nullable): the warning */
typedef struct {
  const char *json;
  gboolean symmetric, borrows;
  guint stored_less;
  gint zero;
  const char *option, *says;
} ZeroCase;

static const ZeroCase zeros[] = {
  { SYM "\"format\": \"gptq\"}", TRUE, FALSE, 1, -1, NULL, NULL },
  { SYM "\"format\": \"gptq_v2\"}", TRUE, FALSE, 0, -1, NULL, NULL },
  { SYM "\"format\": \"gptq_v2\"}", TRUE, FALSE, 1, -1, NULL,
    "says version 2 of the zero points, but they are those of" },
  { SYM "\"format\": \"gptq\"}", TRUE, FALSE, 0, -1, NULL, "says version 1 of the zero points, but they are those of" },
  { "{\"bits\": 4, \"group_size\": 32}", TRUE, FALSE, 1, -1, NULL, NULL },
  { NULL, TRUE, FALSE, 1, -1, NULL, NULL },
  { NULL, TRUE, FALSE, 0, -1, NULL, NULL },
  { NULL, FALSE, FALSE, 1, -1, NULL, "version 1 is assumed (-o gptq.zeros=v2" },
  { NULL, FALSE, FALSE, 0, -1, "gptq.zeros=v2", "as the option zeros says" },
  /* symmetric by the JSON, but not by the words */
  { SYM "\"format\": \"gptq\"}", FALSE, FALSE, 1, -1, NULL, NULL },
  { SYM "\"format\": \"gptq_v2\"}", FALSE, FALSE, 0, -1, NULL, NULL },
  { ASYM "\"format\": \"gptq\"}", FALSE, FALSE, 1, -1, NULL, NULL },
  { ASYM "\"format\": \"gptq_v2\"}", FALSE, FALSE, 0, 0, NULL, NULL },
  /* a stored 15: AutoGPTQ means 16, GPTQModel 0, and a borrow from the next */
  { ASYM "\"format\": \"gptq\"}", FALSE, FALSE, 1, 16, NULL, "read as AutoGPTQ writes it (-o gptq.zeros=v1-packed" },
  { ASYM MODEL "\"gptqmodel:0.8.1\"}}", FALSE, FALSE, 1, 16, NULL, "read as AutoGPTQ writes it" },
  { ASYM MODEL "[\"x\", \"gptqmodel:0.9.0\"]}}", FALSE, TRUE, 0, 0, NULL,
    "read as GPTQModel writes it (-o gptq.zeros=v1 " },
  { ASYM MODEL "\"gptqmodel:7.7.0\"}}", FALSE, TRUE, 0, 0, NULL, "read as GPTQModel writes it" },
  { ASYM "\"format\": \"gptq\"}", FALSE, TRUE, 0, 0, "gptq.zeros=v1-packed", "as the option zeros says" },
  { ASYM MODEL "\"gptqmodel:7.7.0\"}}", FALSE, FALSE, 1, 16, "zeros=v1", "as the option zeros says" },
};

static void
test_zeros (gconstpointer data)
{
  const ZeroCase *c = &zeros[GPOINTER_TO_UINT (data)];
  GptqRecipe r = { .bits = 4,
                   .rows = 40,
                   .cols = 64,
                   .group = 32,
                   .word = 32,
                   .symmetric = c->symmetric,
                   .stored_less = c->stored_less,
                   .borrows = c->borrows };
  g_autoptr (GptqSample) s = gptq_sample_new (&r, 5);
  g_autoptr (Builder) b = builder_new ();
  const char *const options[] = { c->option, NULL };
  g_autofree char *path = NULL;

  if (c->zero >= 0)
    s->zeros[2 * s->groups] = (gint16) c->zero;
  gptq_sample_add (s, b, "a");
  gptq_sample_add (s, b, "b");
  path = builder_write (b, "zeros.safetensors");
  gptq_write_config (c->json);
  assert_warning (path, c->says, options);
  gptq_assert_decodes (path, "b", s, options);
  gptq_write_config (NULL);
}

/* ---- What else it says ---- */

/* @says: (nullable): the warning about a symmetric layer of 4 bits and groups of 32, called "m.up" */
static const struct {
  const char *json, *says;
} said[] = {
  { "{\"bits\": 8, \"group_size\": 32}", "says 8 bits, but the shapes say 4, which counts" },
  { "{\"w_bit\": 3, \"q_group_size\": 32}", "says 3 bits" },
  { "{\"bits\": 4, \"group_size\": 64}", "says groups of 64 columns, but there are 2 groups for 64 columns" },
  { "{\"bits\": 4, \"group_size\": -1}", "says groups of -1 columns" },
  { "{\"bits\": 8, \"group_size\": 128, \"dynamic\": {\"m\\\\.[a-z]+$\": {\"bits\": 4, \"group_size\": 32}}}", NULL },
  { "{\"bits\": 8, \"dynamic\": {\"+:m.up\": {\"bits\": 4}, \"m\": {\"bits\": 8}}}", NULL },
  { "{\"bits\": 8, \"dynamic\": {\"-:m\": {}}}", NULL },
  { "{\"bits\": 4, \"dynamic\": {\"up\": {\"bits\": 8}}}", NULL }, /* the name does not begin with it */
  { "{\"bits\": 4, \"dynamic\": {\"m\": {\"bits\": 8}}}", "says 8 bits" },
  { "{\"bits\": 4, \"dynamic\": {\"m(\": {\"bits\": 8}}}", "is no regular expression and is ignored" },
  { "{\"bits\": 4, \"rotation\": \"hadamard\"}", "the weights were rotated (hadamard)" },
  { "{\"bits\": 4, \"rotation\": null}", NULL },
  { "{\"bits\": ", "a file beside the weights is ignored" },
  { "[4]", "a file beside the weights is ignored: it is not a JSON object" },
  { "null", "a file beside the weights is ignored" },
  { "{}", NULL },
  { "{\"bits\": \"8\", \"group_size\": {}, \"sym\": 1, \"meta\": [], \"dynamic\": [\"m\"]}", NULL },
  { "{\"bits\": 4.5, \"meta\": {\"quantizer\": [1, [], null]}, \"dynamic\": {\"m\": 8}}", NULL },
  { "{\"bits\": -9223372036854775808, \"group_size\": 32}", "says -9223372036854775808 bits" },
  { "{\"bits\": 4, \"group_size\": 9223372036854775807}", "says groups of 9223372036854775807 columns" },
  { "{\"quant_method\": \"awq\", \"version\": \"gemm\"}", NULL },
};

static void
test_said (gconstpointer data)
{
  guint i = GPOINTER_TO_UINT (data);
  GptqRecipe r = { .bits = 4, .rows = 40, .cols = 64, .group = 32, .word = 32, .symmetric = TRUE, .stored_less = 1 };
  g_autoptr (GptqSample) s = gptq_sample_new (&r, 6);
  g_autoptr (Builder) b = builder_new ();
  g_autofree char *path = NULL;

  gptq_sample_add (s, b, "m.up");
  path = builder_write (b, "said.safetensors");
  gptq_write_config (said[i].json);
  assert_warning (path, said[i].says, NULL);
  gptq_assert_decodes (path, "m.up", s, NULL);
  gptq_write_config (NULL);
}

int
main (int argc, char **argv)
{
  int failed;

  g_test_init (&argc, &argv, NULL);
  scratch_begin ();
  for (guint i = 0; i < G_N_ELEMENTS (zeros); i++)
    {
      g_autofree char *path = g_strdup_printf ("/gptq/config/zeros/%u", i);

      g_test_add_data_func (path, GUINT_TO_POINTER (i), test_zeros);
    }
  for (guint i = 0; i < G_N_ELEMENTS (said); i++)
    {
      g_autofree char *path = g_strdup_printf ("/gptq/config/said/%u", i);

      g_test_add_data_func (path, GUINT_TO_POINTER (i), test_said);
    }
  failed = g_test_run ();
  scratch_end ();
  return failed;
}
