/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Calculates the rate and the time left from the bytes that are done. The run and the check count with it. */
#include "schedule/progress.h"

#define INTERVAL (G_USEC_PER_SEC / 10)

void
qconv_progress_init (Progress *p, guint64 total, const char *phase, const Listener *listener)
{
  *p = (Progress) { .listener = listener, .total = total, .phase = phase };
  g_mutex_init (&p->lock);
  p->start = p->last = g_get_monotonic_time ();
}

void
qconv_progress_clear (Progress *p)
{
  g_mutex_clear (&p->lock);
}

static void
tell (Progress *p, const Doing *doing, gint64 now)
{
  QconvProgress report = { .done_bytes = MIN (p->done, p->total),
                           .total_bytes = p->total,
                           .phase = p->phase,
                           .layer = doing->layer,
                           .rate = -1,
                           .eta = -1,
                           .round = doing->round,
                           .n_rounds = doing->n_rounds };
  double seconds = (double) (now - p->start) / G_USEC_PER_SEC;

  if (seconds > 0 && p->done > p->skipped)
    {
      report.rate = (double) (p->done - p->skipped) / seconds;
      report.eta = (double) (p->total - report.done_bytes) / report.rate;
    }
  p->last = now;
  p->listener->progress (&report, p->listener->user_data);
}

void
qconv_progress_reach (Progress *p, guint64 *counted, guint64 n, const Doing *doing)
{
  gint64 now = g_get_monotonic_time ();

  g_mutex_lock (&p->lock);
  if (n > *counted)
    {
      p->done += n - *counted;
      *counted = n;
    }
  if (p->listener->progress != NULL && now - p->last >= INTERVAL)
    tell (p, doing, now);
  g_mutex_unlock (&p->lock);
}

void
qconv_progress_add (Progress *p, guint64 n, const char *layer)
{
  guint64 counted = 0;

  qconv_progress_reach (p, &counted, n, &(Doing) { .layer = layer });
}

void
qconv_progress_skip (Progress *p, guint64 n)
{
  g_mutex_lock (&p->lock);
  p->done += n;
  p->skipped += n;
  g_mutex_unlock (&p->lock);
}

void
qconv_progress_finish (Progress *p)
{
  p->done = p->total;
  if (p->listener->progress != NULL)
    tell (p, &(Doing) { 0 }, g_get_monotonic_time ());
}
