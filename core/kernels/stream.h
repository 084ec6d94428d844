/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Streams on which core runs operations; qconv-backend.h declares qconv_stream_run(). */
#pragma once
#include "base/buffer.h"

/* Returns: (transfer none): the stream of the CPU. An operation is done when qconv_stream_run() returns */
QconvStream *qconv_stream_cpu (void);
