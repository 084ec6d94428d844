/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Runs the tasks of a stream on threads of its own, without the scheduler: for tests of kernels and of quantizers. */
#pragma once
#include "kernels/stream.h"

/* Returns a stream whose tasks run on @n_threads threads */
QconvStream crew_stream (guint n_threads);
