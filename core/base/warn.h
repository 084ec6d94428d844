/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Sends warnings to the listener that was given when the model was opened or the plan was made. Without a listener they
   are dropped. */
#pragma once
#include "qconv.h"

typedef struct {
  QconvWarnFunc func; /* NULL if nobody listens */
  gpointer data;
} Warn;

void qconv_warn (const Warn *w, const char *format, ...) G_GNUC_PRINTF (2, 3);
