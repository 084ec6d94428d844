/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Fuzz target for all readers: opening, planning and decoding any file must succeed or fail with an error. */
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

#include "qconv.h"

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

/* Verifies the file by itself, which may be as broken as a reader can list */
static void
verify (QconvModel *model)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (QconvReport) report
      = qconv_model_verify (model, &(QconvVerifyOptions) { .memory = 64 << 20, .n_threads = 1 }, &error);

  g_assert_true ((report == NULL) == (error != NULL));
  g_assert_true (error == NULL || !g_error_matches (error, QCONV_ERROR, QCONV_ERROR_BUG));
  g_assert_true (report == NULL || report->ok == (report->problems->len == 0));
}

/* Opens the file, lists its weights and plans two outputs: plain floats, and the model in the form that it has */
static void
examine (const char *path)
{
  static const QconvOpenOptions options = { .for_verify = TRUE, .allow_nonfinite = TRUE };
  g_autoptr (GError) error = NULL;
  g_autoptr (QconvModel) model = qconv_model_open (path, &options, &error);
  const char *const targets[] = { "f32-safetensors", NULL };

  g_assert_true ((model == NULL) == (error != NULL));
  if (model == NULL)
    return;
  g_array_unref (qconv_model_weights (model));
  verify (model);
  for (guint i = 0; i < G_N_ELEMENTS (targets); i++)
    {
      const QconvJob job = { .target = targets[i], .output = "fuzz.out", .run.memory = 64 << 20, .run.n_threads = 1 };
      g_autoptr (GError) refused = NULL;
      g_autoptr (QconvPlan) plan = qconv_plan_new (model, &job, &refused);

      g_assert_true ((plan == NULL) == (refused != NULL));
      g_assert_true (refused == NULL || !g_error_matches (refused, QCONV_ERROR, QCONV_ERROR_BUG));
    }
}

/* Opens the file by readers that otherwise ask for a JSON file beside it, which this file does not have */
static void
force_readers (const char *path)
{
  static const char *const readers[] = { "compressed-tensors", "modelopt" };

  for (guint i = 0; i < G_N_ELEMENTS (readers); i++)
    {
      const QconvOpenOptions options = { .from = readers[i] };
      const QconvJob job
          = { .target = "f32-safetensors", .output = "fuzz.out", .run.memory = 64 << 20, .run.n_threads = 1 };
      g_autoptr (GError) error = NULL, refused = NULL;
      g_autoptr (QconvModel) model = qconv_model_open (path, &options, &error);
      g_autoptr (QconvPlan) plan = model != NULL ? qconv_plan_new (model, &job, &refused) : NULL;

      g_assert_true ((model == NULL) == (error != NULL));
      g_assert_true ((plan != NULL) == (model != NULL && refused == NULL));
      g_assert_true (error == NULL || !g_error_matches (error, QCONV_ERROR, QCONV_ERROR_BUG));
      g_assert_true (refused == NULL || !g_error_matches (refused, QCONV_ERROR, QCONV_ERROR_BUG));
    }
}

/* Verifies the model against itself: decodes every layer; none may have an error */
static void
compare_with_itself (const char *path)
{
  g_autoptr (QconvModel) model = qconv_model_open (path, NULL, NULL), again = qconv_model_open (path, NULL, NULL);
  g_autoptr (QconvReport) report = NULL;
  g_autoptr (GError) error = NULL;

  g_assert_true ((model == NULL) == (again == NULL));
  if (model == NULL)
    return;
  report = qconv_model_verify (model, &(QconvVerifyOptions) { .original = again, .memory = 64 << 20, .n_threads = 1 },
                               &error);
  g_assert_true ((report == NULL) == (error != NULL));
  g_assert_true (error == NULL || !g_error_matches (error, QCONV_ERROR, QCONV_ERROR_BUG));
  for (guint i = 0; report != NULL && i < report->layers->len; i++)
    g_assert_true (((const QconvLayerError *) g_ptr_array_index (report->layers, i))->relmse <= 0);
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  int fd = memfd_create ("fuzz.safetensors", MFD_CLOEXEC);
  g_autofree char *path = g_strdup_printf ("/proc/self/fd/%d", fd);

  g_assert_true (fd >= 0);
  g_assert_true (write (fd, data, size) == (gssize) size);
  examine (path);
  force_readers (path);
  compare_with_itself (path);
  close (fd);
  return 0;
}
