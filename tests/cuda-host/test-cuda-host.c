/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tests the CUDA backend on the processor, with the runtime of this folder: every operation against the scalar level,
   and what it says of devices and memory. */
#include <string.h>

#include "backend-tests.h"
#include "cuda_runtime_api.h"
#include "kernels/ggml-grids.h"

extern const QconvBackend *qconv_backend_cuda (void);

static void
assert_no_devices (CudaHostDevices machine, const char *line)
{
  const QconvBackend *cuda = qconv_backend_cuda ();
  CudaHostDevices before = cuda_host_devices;
  g_autoptr (GError) error = NULL, open_error = NULL;

  cuda_host_devices = machine;
  g_assert_cmpuint (cuda->n_devices (&error), ==, 0);
  g_assert_error (error, QCONV_ERROR, QCONV_ERROR_DEVICE);
  g_assert_cmpstr (error->message, ==, line);
  g_assert_null (cuda->open (0, 0, &open_error));
  g_assert_nonnull (open_error);
  cuda_host_devices = before;
}

static void
test_no_devices (void)
{
  const CudaHostDevices good = cuda_host_devices;
  CudaHostDevices none = good, no_driver = good, old_driver = good, old_device = good;

  none.n = 0;
  assert_no_devices (none, "there is no CUDA device");
  no_driver.driver = 0;
  assert_no_devices (no_driver, "there is no CUDA driver (libcuda.so.1)");
  old_driver.driver = 11040;
  assert_no_devices (old_driver, "the driver is for CUDA 11.4, but this module needs 13.0 or newer");
  old_device.capability = 61;
  assert_no_devices (old_device, "the device has compute capability 6.1, but 7.5 or higher is needed");
}

static void
test_open (void)
{
  const QconvBackend *cuda = qconv_backend_cuda ();
  g_autoptr (GError) error = NULL;
  g_autofree char *text = NULL;
  gpointer device;

  g_assert_cmpstr (cuda->id, ==, "cuda");
  g_assert_cmpuint (cuda->abi, ==, QCONV_PLUGIN_ABI);
  g_assert_null (cuda->open (1, 0, &error));
  g_assert_error (error, QCONV_ERROR, QCONV_ERROR_OPTION);
  g_clear_error (&error);
  cuda_host_devices.has_code = 0;
  g_assert_null (cuda->open (0, 0, &error));
  g_assert_error (error, QCONV_ERROR, QCONV_ERROR_DEVICE);
  cuda_host_devices.has_code = 1;
  g_clear_error (&error);
  device = cuda->open (0, 0, &error);
  g_assert_no_error (error);
  text = cuda->describe (device);
  g_assert_cmpstr (text, ==, "processor, compute capability 9.0");
  cuda->close (device);
}

static void
assert_no_memory (gpointer device, gsize n)
{
  const QconvBackend *cuda = qconv_backend_cuda ();
  g_autoptr (GError) error = NULL;

  g_assert_null (cuda->alloc (device, n, &error));
  g_assert_error (error, QCONV_ERROR, QCONV_ERROR_LIMIT);
}

/* Tests devices with memory pools and without */
static void
test_memory (void)
{
  const QconvBackend *cuda = qconv_backend_cuda ();
  gsize before = cuda_host_used (), streams = cuda_host_streams ();

  for (int pools = 0; pools < 2; pools++)
    {
      g_autoptr (GError) error = NULL;
      gpointer device, a, b, host;
      char bytes[5] = "";

      cuda_host_devices.pools = pools;
      device = cuda->open (0, sizeof (QconvGgmlGrids) + 1000, &error);
      a = cuda->alloc (device, 600, &error);
      assert_no_memory (device, 401);
      assert_no_memory (device, G_MAXSIZE);
      b = cuda->alloc (device, 400, &error);
      g_assert_no_error (error);
      assert_no_memory (device, 0); /* takes a byte */
      g_assert_null (cuda->stream_new (device, &error));
      g_assert_error (error, QCONV_ERROR, QCONV_ERROR_LIMIT);
      g_clear_error (&error);
      cuda->free (device, a);
      cuda->free (device, b);
      a = cuda->alloc (device, 1000, &error);
      g_assert_no_error (error);
      cuda->free (device, a);
      cuda->free (device, NULL);
      cuda_host_devices.memory = cuda_host_used () + 100;
      assert_no_memory (device, 101); /* of the device, though not of the limit */
      cuda_host_devices.memory = SIZE_MAX;
      cuda->close (device);

      device = cuda->open (0, 0, &error);
      host = cuda->alloc_host (device, 5, &error);
      a = cuda->alloc (device, 5, &error);
      b = cuda->stream_new (device, &error);
      g_assert_no_error (error);
      g_assert_true (cuda->copy_in (device, b, a, memcpy (host, "abcd", 5), 5, &error));
      g_assert_true (cuda->copy_out (device, b, bytes, a, 5, &error));
      g_assert_true (cuda->sync (device, b, &error));
      g_assert_cmpstr (bytes, ==, "abcd");
      cuda->stream_free (device, b);
      cuda->free_host (device, host);
      cuda->free (device, a);
      cuda->close (device);
    }
  g_assert_cmpuint (cuda_host_used (), ==, before);
  g_assert_cmpuint (cuda_host_streams (), ==, streams);
}

int
main (int argc, char **argv)
{
  const QconvBackend *cuda = qconv_backend_cuda ();
  g_autoptr (GError) error = NULL;
  gpointer device;
  int status;

  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/backend/no-devices", test_no_devices);
  g_test_add_func ("/backend/open", test_open);
  g_test_add_func ("/backend/memory", test_memory);
  g_assert_cmpuint (cuda->n_devices (&error), ==, 1);
  device = cuda->open (0, 0, &error);
  g_assert_no_error (error);
  backend_add_tests (cuda, device);
  status = g_test_run ();
  cuda->close (device);
  return status;
}
