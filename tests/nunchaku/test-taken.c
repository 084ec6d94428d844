/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tests what the reader does if another has claimed a layer before it: no warnings, and the metadata stay. */
#include "graph/claims.h"
#include "io/directory.h"
#include "io/source.h"
#include "nunchaku/nunchaku.h"
#include "qconv.h"

#define LAYER "transformer_blocks.0.mlp_fc1"

static const struct {
  const char *name;
  QconvDType dtype;
  QconvShape shape;
} tensors[] = {
  { LAYER ".qweight", QCONV_I8, { 2, { 128, 64 } } },   { LAYER ".wscales", QCONV_BF16, { 2, { 2, 128 } } },
  { LAYER ".smooth", QCONV_BF16, { 1, { 128 } } },      { LAYER ".lora_down", QCONV_BF16, { 2, { 128, 16 } } },
  { LAYER ".lora_up", QCONV_BF16, { 2, { 128, 16 } } },
};

static void
test_taken (gconstpointer data)
{
  gboolean taken = GPOINTER_TO_INT (data);
  g_autoptr (GBytes) bytes = g_bytes_new_take (g_malloc0 (16384), 16384);
  g_autoptr (GError) error = NULL;
  QconvSource *source = qconv_source_new_for_bytes (bytes, "test");
  QconvDirectory *d = qconv_directory_new ("box", source);
  QconvClaims *claims;

  for (guint i = 0; i < G_N_ELEMENTS (tensors); i++)
    {
      QconvTensor t
          = { .name = tensors[i].name, .dtype = tensors[i].dtype, .shape = tensors[i].shape, .source = source };

      qconv_shape_bytes (&t.shape, t.dtype, &t.n_bytes);
      qconv_directory_add (d, &t, &error);
      g_assert_no_error (error);
    }
  claims = qconv_claims_new (d, FALSE);
  if (taken)
    qconv_claims_drop (claims, qconv_directory_find (d, LAYER ".qweight"));
  nunchaku_reader.claim (&nunchaku_reader, d, NULL, claims, &error);
  g_assert_no_error (error);
  /* The file has no metadata, so its own layers are warned about */
  g_assert_cmpint (qconv_claims_warnings (claims)->len == 0, ==, taken);
  g_assert_cmpint (qconv_claims_metadata_dropped (claims, "quantization_config"), ==, !taken);
  g_assert_cmpint (qconv_claims_taken (claims, qconv_directory_find (d, LAYER ".smooth")), ==, !taken);
  qconv_claims_free (claims);
  qconv_directory_free (d);
  qconv_source_free (source);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_data_func ("/nunchaku/taken/no", GINT_TO_POINTER (FALSE), test_taken);
  g_test_add_data_func ("/nunchaku/taken/yes", GINT_TO_POINTER (TRUE), test_taken);
  return g_test_run ();
}
