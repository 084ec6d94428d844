/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Starts threads for every call, which take tasks in turn. */
#include "crew.h"

/* Crew: the tasks of one call on some threads. @next: the first task that nobody has taken */
typedef struct {
  guint n_tasks, n_threads;
  gint next, n_workers;
  QconvTaskFunc func;
  gpointer data;
} Crew;

static gpointer
run_worker (gpointer data)
{
  Crew *c = data;
  guint worker = (guint) g_atomic_int_add (&c->n_workers, 1);

  for (guint task; (task = (guint) g_atomic_int_add (&c->next, 1)) < c->n_tasks;)
    g_assert_true (c->func (c->data, task, worker, NULL));
  return NULL;
}

static gboolean
run_crew (gpointer threads, guint n_tasks, QconvTaskFunc func, gpointer data, GError **error)
{
  Crew c = { n_tasks, GPOINTER_TO_UINT (threads), 0, 0, func, data };
  g_autofree GThread **all = g_new (GThread *, c.n_threads);

  for (guint i = 0; i < c.n_threads; i++)
    all[i] = g_thread_new (NULL, run_worker, &c);
  for (guint i = 0; i < c.n_threads; i++)
    g_thread_join (all[i]);
  return TRUE;
}

QconvStream
crew_stream (guint n_threads)
{
  return qconv_stream_cpu_on (run_crew, GUINT_TO_POINTER (n_threads));
}
