/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Loads the module of the CUDA backend. If there is a device, tests every operation on it; else tests that the module
   says why there is none. */
#include <gmodule.h>

#include "backend-tests.h"

static const char *reason;

static void
test_loads_without_device (void)
{
  g_test_message ("%s", reason);
  g_assert_null (strchr (reason, '\n'));
}

static void
test_skipped (void)
{
  g_test_skip (reason);
}

int
main (int argc, char **argv)
{
  const QconvBackend *(*find) (void) = NULL;
  const QconvBackend *cuda;
  g_autoptr (GError) error = NULL;
  GModule *module;
  gpointer device = NULL;
  int status;

  g_test_init (&argc, &argv, NULL);
  g_assert_cmpint (argc, ==, 2);
  module = g_module_open (argv[1], G_MODULE_BIND_LOCAL);
  if (module == NULL)
    g_error ("%s", g_module_error ());
  g_assert_true (g_module_symbol (module, "qconv_backend_cuda", (gpointer *) &find));
  cuda = find ();
  if (cuda->n_devices (&error) > 0)
    {
      device = cuda->open (0, 0, &error);
      g_assert_no_error (error);
      backend_add_tests (cuda, device);
    }
  else
    {
      g_assert_error (error, QCONV_ERROR, QCONV_ERROR_DEVICE);
      reason = error->message;
      g_test_add_func ("/gpu/loads-without-device", test_loads_without_device);
      g_test_add_func ("/gpu/operations", test_skipped);
    }
  status = g_test_run ();
  if (device != NULL)
    cuda->close (device);
  return status;
}
