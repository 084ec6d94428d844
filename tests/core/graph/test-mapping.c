/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tests that a model has the same numbers in each naming of its family, whichever naming its file has. */
#include <string.h>

#include "../lora/lora-fixture.h"

typedef struct {
  const char *arguments, *namings[5];
} Case;

static const Case cases[] = {
  { "--family flux1 --variant tiny --set depth_double=1 --set depth_single=1 --set hidden=128 --set mlp=256 --set "
    "mlp1=256 --set ctx=128 --type f32",
    { "original", "diffusers", "nunchaku" } },
  { "--family qwen_image --variant tiny --type f32", { "original", "diffusers", "nunchaku" } },
  { "--family z_image --variant tiny --type f32", { "original", "diffusers", "nunchaku", "nunchaku_refiners" } },
};

static char *
make (const Case *c, const char *naming)
{
  g_autofree char *arguments = g_strdup_printf ("%s --naming %s", c->arguments, naming);

  return lora_model (arguments);
}

static void
test_namings (gconstpointer data)
{
  const Case *c = data;

  for (guint from = 0; c->namings[from] != NULL; from++)
    for (guint to = 0; c->namings[to] != NULL; to++)
      {
        g_autofree char *path = make (c, c->namings[from]), *other = make (c, c->namings[to]), *changes = NULL;
        g_autoptr (QconvModel) want = open_model (other, NULL);
        g_autoptr (QconvModel) got = lora_bake (path, "f32-safetensors", c->namings[to], NULL);

        changes = lora_changes (want, got);
        g_assert_cmpstr (changes, ==, "");
      }
}

/* Tests that verify pairs tensors whatever naming either file has */
static void
test_against (gconstpointer data)
{
  const Case *c = data;

  for (guint i = 0; c->namings[i] != NULL; i++)
    for (guint k = 0; c->namings[k] != NULL; k++)
      {
        g_autofree char *path = make (c, c->namings[i]), *other = make (c, c->namings[k]);
        g_autoptr (QconvModel) m = open_model (path, NULL), original = open_model (other, NULL);
        g_autoptr (GError) error = NULL;
        g_autoptr (QconvReport) r
            = qconv_model_verify (m, &(QconvVerifyOptions) { .n_threads = 1, .original = original }, &error);

        g_assert_no_error (error);
        g_assert_cmpuint (r->problems->len, ==, 0);
      }
}

/* Tests that verify knows the names of nunchaku's Python class, which mapping does not write */
static void
test_spellings (void)
{
  static const char *const spellings[][2] = { { ".qkv_proj_context.", ".attn.add_qkv_proj." },
                                              { ".qkv_proj.", ".attn.to_qkv." },
                                              { ".out_proj_context.", ".attn.to_add_out." },
                                              { ".out_proj.", ".attn.to_out.0." },
                                              { ".norm_", ".attn.norm_" } };
  g_autofree char *path = make (&cases[0], "nunchaku"), *other = make (&cases[0], "original"), *renamed = NULL;
  g_autoptr (QconvModel) m = open_model (path, NULL), original = open_model (other, NULL), spelled = NULL;
  const QconvDirectory *d = qconv_model_directory (m);
  g_autoptr (Builder) b = builder_new ();
  g_autoptr (GError) error = NULL;
  g_autoptr (QconvReport) r = NULL;

  for (guint i = 0; i < qconv_directory_n_tensors (d); i++)
    {
      const QconvTensor *t = qconv_directory_tensor (d, i);
      g_autoptr (GBytes) bytes = tensor_bytes (m, t->name);
      g_autofree char *shape = qconv_shape_to_string (&t->shape);
      GString *name = g_string_new (t->name);

      for (guint k = 0; k < G_N_ELEMENTS (spellings); k++)
        g_string_replace (name, spellings[k][0], spellings[k][1], 0);
      builder_add (b, name->str, qconv_dtype_name (t->dtype), shape, g_bytes_get_data (bytes, NULL),
                   g_bytes_get_size (bytes));
      g_string_free (name, TRUE);
    }
  renamed = builder_write (b, "spelled.safetensors");
  spelled = open_model (renamed, NULL);
  r = qconv_model_verify (spelled, &(QconvVerifyOptions) { .n_threads = 1, .original = original }, &error);
  g_assert_no_error (error);
  for (guint i = 0; i < r->problems->len; i++)
    g_test_message ("%s", ((const QconvProblem *) g_ptr_array_index (r->problems, i))->layer);
  g_assert_cmpuint (r->problems->len, ==, 0);
}

int
main (int argc, char **argv)
{
  int result;

  g_test_init (&argc, &argv, NULL);
  scratch_begin ();
  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autofree char *family = g_strndup (cases[i].arguments + strlen ("--family "),
                                           strcspn (cases[i].arguments + strlen ("--family "), " "));
      g_autofree char *namings = g_strconcat ("/mapping/namings/", family, NULL);
      g_autofree char *against = g_strconcat ("/mapping/against/", family, NULL);

      g_test_add_data_func (namings, &cases[i], test_namings);
      g_test_add_data_func (against, &cases[i], test_against);
    }
  g_test_add_func ("/mapping/spellings", test_spellings);
  result = g_test_run ();
  scratch_end ();
  return result;
}
