/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Opens the device of a plan, and goes on without it if it fails. plan.c and run/ call it. */
#include <glib/gi18n-lib.h>
#include <string.h>

#include "plan/plan-device.h"
#include "registry/backends.h"

/* ---- Open ---- */

/* Opens the first device of the first backend that has one. Returns whether there is one. @reason: (out): why not */
static gboolean
open_any (PlanDevice *d, guint64 memory, char **reason)
{
  const GPtrArray *all = qconv_registry_backends ();

  for (guint i = 0; d->device == NULL && i < all->len; i++)
    {
      const QconvBackendInfo *b = g_ptr_array_index (all, i);
      g_autoptr (GError) error = NULL;

      if (b->backend != NULL)
        d->device = qconv_device_open (b->backend, 0, memory, &error);
      if (d->device == NULL && *reason == NULL)
        *reason = g_strdup_printf ("%s: %s", b->id, error != NULL ? error->message : b->reason);
    }
  return d->device != NULL;
}

/* Opens the device that @name names, "ID" or "ID:N" */
static gboolean
open_named (PlanDevice *d, const char *name, guint64 memory, GError **error)
{
  const char *colon = strchr (name, ':');
  g_autofree char *id = colon != NULL ? g_strndup (name, (gsize) (colon - name)) : g_strdup (name);
  const QconvBackend *backend;
  g_autoptr (GError) own = NULL;
  guint64 number = 0;

  if (colon != NULL && !g_ascii_string_to_unsigned (colon + 1, 10, 0, G_MAXUINT16, &number, NULL))
    return qconv_fail (error, QCONV_ERROR_OPTION, "--device %s: \"%s\" is not the number of a device", name, colon + 1);
  backend = qconv_registry_backend (id, &own);
  if (backend != NULL)
    d->device = qconv_device_open (backend, (guint) number, memory, &own);
  d->wanted = TRUE;
  return d->device != NULL
         || qconv_fail (error, QCONV_ERROR_DEVICE, "--device %s: %s; --device cpu works without it", name,
                        own->message);
}

gboolean
qconv_plan_device_open (PlanDevice *d, const QconvRunOptions *options, const Warn *warn, GError **error)
{
  g_autofree char *reason = NULL;

  d->warn = *warn;
  if (options->device == NULL || strcmp (options->device, "cpu") == 0)
    return TRUE;
  if (strcmp (options->device, "auto") != 0)
    return open_named (d, options->device, options->device_memory, error);
  if (!open_any (d, options->device_memory, &reason))
    qconv_warn (warn, _ ("no device can be used, the processor does all work: %s"),
                reason != NULL ? reason : _ ("there is no module for any"));
  return TRUE;
}

void
qconv_plan_device_close (PlanDevice *d)
{
  g_clear_pointer (&d->device, qconv_device_close);
}

/* ---- Run ---- */

/* Gives up the device, whose failure was @own */
static gboolean
lose_device (PlanDevice *d, GError *own, GError **error)
{
  if (d->wanted)
    {
      g_propagate_prefixed_error (error, own, "%s: ", qconv_device_name (d->device));
      return FALSE;
    }
  if (g_atomic_int_compare_and_exchange (&d->lost, FALSE, TRUE))
    qconv_warn (&d->warn, _ ("%s failed, the processor does the rest: %s"), qconv_device_name (d->device),
                own->message);
  g_error_free (own);
  return TRUE;
}

/* How a try on the device ended: the work is done or failed by its own fault; the device is at fault; or a hook
   declined the device for this layer, whose bytes it must see */
typedef enum { TRY_OVER, TRY_FAULT, TRY_DECLINED } Try;

/* Does @w once, with tiles of @rows rows. *ok: (out): whether it is done; *own: (out): the error if it is not */
static Try
try_device (PlanDevice *d, const DeviceWork *w, guint64 rows, gboolean *ok, GError **own)
{
  DeviceTask *t = qconv_device_begin (d->device, own);
  Try end = TRY_OVER;

  *ok = t != NULL && w->run (w->data, rows, t, own);
  if (!*ok && qconv_device_is_at_fault (*own))
    {
      if (t == NULL || qconv_device_failed (t))
        end = TRY_FAULT;
      else if (g_error_matches (*own, QCONV_ERROR, QCONV_ERROR_DEVICE))
        end = TRY_DECLINED;
    }
  qconv_device_end (t);
  return end;
}

gboolean
qconv_plan_device_run (PlanDevice *d, const DeviceWork *w, GError **error)
{
  guint64 rows = w->rows;

  while (d->device != NULL && !g_atomic_int_get (&d->lost))
    {
      GError *fault = NULL;
      gboolean ok;
      Try end = try_device (d, w, rows, &ok, &fault);

      if (end == TRY_OVER && !ok)
        g_propagate_error (error, fault);
      if (end == TRY_OVER)
        return ok;
      if (end == TRY_DECLINED)
        {
          g_error_free (fault);
          break;
        }
      if (!g_error_matches (fault, QCONV_ERROR, QCONV_ERROR_LIMIT))
        {
          if (!lose_device (d, fault, error))
            return FALSE;
          break;
        }
      if (rows <= w->align && g_atomic_int_compare_and_exchange (&d->full, FALSE, TRUE))
        qconv_warn (&d->warn, _ ("%s has too little memory, the processor helps: %s"), qconv_device_name (d->device),
                    fault->message);
      g_error_free (fault);
      if (rows <= w->align)
        break;
      rows = MAX (rows / 2 / w->align, 1) * w->align;
    }
  return w->run (w->data, w->rows, NULL, error);
}
