/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Finds the modules of backends and opens them. The plan asks for one, `qconv plugins` lists them. */
#pragma once
#include "qconv.h"

/* Returns: (transfer none): backend @id. QCONV_ERROR_NO_PLUGIN: there is none; QCONV_ERROR_BUG: its module is broken */
const QconvBackend *qconv_registry_backend (const char *id, GError **error);
