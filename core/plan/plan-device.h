/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The device that a plan uses, and what happens if it fails. The plan opens it, the run works on it. */
#pragma once
#include "base/warn.h"
#include "kernels/device.h"

/* Bytes of a tile that keeps a device busy for longer than it takes to start work there */
#define DEVICE_TILE_TARGET ((gsize) 32 << 20)

/**
 * PlanDevice: zero, if the processor does all work.
 *
 * @device: (nullable)
 * @wanted: the user named it, so its failure ends the run
 * @lost: it failed; atomic
 * @full: the user knows that its memory is too small; atomic
 */
typedef struct {
  Device *device;
  gboolean wanted;
  gint lost, full;
  Warn warn;
} PlanDevice;

/* Opens the device of @options: "auto", "cpu", "ID" or "ID:N". Fails with QCONV_ERROR_DEVICE if one is named that is
   not there. "auto" warns if there is none */
gboolean qconv_plan_device_open (PlanDevice *d, const QconvRunOptions *options, const Warn *warn, GError **error);
void qconv_plan_device_close (PlanDevice *d);

/**
 * DeviceWork: work on rows that a device can do.
 *
 * @run: works on @t (nullable) in tiles of at most @rows rows, or goes on behind those that are done; any number of
 *   times
 * @rows: of a tile; @align: the least that makes a tile
 */
typedef struct {
  gboolean (*run) (gpointer data, guint64 rows, DeviceTask *t, GError **error);
  gpointer data;
  guint64 rows, align;
} DeviceWork;

/* Does @w on the device, or on the processor if a hook declines the device. If its memory is too small, again in
   smaller tiles, in the end on the processor; if it fails, on the processor, with a warning, or ends the run if the
   user named it. Any thread */
gboolean qconv_plan_device_run (PlanDevice *d, const DeviceWork *w, GError **error);
