/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Signals that end the program. main.c prepares them; commands that write or check files make them cancel the work. */
#pragma once
#include <gio/gio.h>

/* Prepares the signals; must be called before any thread starts. SIGINT, SIGTERM and SIGHUP end the program until
   cli_interrupt_begin() */
void cli_interrupt_init (void);
/* Makes the first signal cancel the cancellable, and the next one remove temporary files and end the program. Writing
   to a closed pipe becomes an error.
   Returns: (transfer none) */
GCancellable *cli_interrupt_begin (void);
