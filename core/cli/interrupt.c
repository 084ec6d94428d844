/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Waits for signals in a thread of its own, because a thread may lock and allocate, and a signal handler may not. */
#include "cli/interrupt.h"

#include <signal.h>
#include <unistd.h>

#include "qconv.h"

static GCancellable *cancellable;
static int running;
static sigset_t signals;
static int status; /* exit status of an interrupted program */

static gpointer
wait_for_signals (gpointer unused)
{
  int number;

  while (sigwait (&signals, &number) == 0)
    {
      if (!g_atomic_int_get (&running) || g_cancellable_is_cancelled (cancellable))
        {
          qconv_abandon_outputs ();
          _exit (status);
        }
      g_cancellable_cancel (cancellable);
    }
  return NULL;
}

void
cli_interrupt_init (void)
{
  static const int numbers[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT };
  const GError cancelled = { .domain = G_IO_ERROR, .code = G_IO_ERROR_CANCELLED };

  status = qconv_error_exit_status (&cancelled);
  sigemptyset (&signals);
  for (guint i = 0; i < G_N_ELEMENTS (numbers); i++)
    {
      struct sigaction old;

      /* nohup and background shells ignore some signals. sigwait() would still receive them, so they are not waited
         for */
      if (sigaction (numbers[i], NULL, &old) == 0 && old.sa_handler != SIG_IGN)
        sigaddset (&signals, numbers[i]);
    }
  cancellable = g_cancellable_new ();
  pthread_sigmask (SIG_BLOCK, &signals, NULL);
  g_thread_unref (g_thread_new ("signals", wait_for_signals, NULL));
}

GCancellable *
cli_interrupt_begin (void)
{
  g_atomic_int_set (&running, 1);
  /* If the reader of a pipe has gone away, or a file may not grow, the program must still remove its temporary file:
     the write fails instead */
  signal (SIGPIPE, SIG_IGN);
  signal (SIGXFSZ, SIG_IGN);
  return cancellable;
}
