/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Warnings go to whoever opened the model or made the plan; without a listener they are dropped. */
#pragma once
#include "qconv.h"

typedef struct {
  QconvWarnFunc func; /* (nullable) */
  gpointer data;
} Warn;

void qconv_warn (const Warn *w, const char *format, ...) G_GNUC_PRINTF (2, 3);
