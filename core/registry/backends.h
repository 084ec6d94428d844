/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Finds the modules of backends and opens them. The plan asks for one, `qconv plugins` lists them. */
#pragma once
#include "qconv.h"

/* Returns: (transfer none): backend @id. QCONV_ERROR_NO_PLUGIN: there is none; QCONV_ERROR_BUG: its module is broken */
const QconvBackend *qconv_registry_backend (const char *id, GError **error);
/* Offers @backend as a module would; for tests, before the registry is asked for any backend */
void qconv_registry_add_backend (const QconvBackend *backend);
/* Fails with QCONV_ERROR_BUG, which names the fault, if core cannot work with @b, the table of module @id */
gboolean qconv_backend_check (const QconvBackend *b, const char *id, GError **error);
