/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tests the scheduler: every task runs, the memory budget holds, errors and cancelling stop a run. */
#include <string.h>

#include "qconv-types.h"
#include "schedule/progress.h"
#include "schedule/schedule.h"

#define N_ITEMS 40
#define N_PHASES 3

/* Items of three phases of five tasks; item 7 is as large as the whole budget */
typedef struct {
  GMutex lock;
  guint phase[N_ITEMS], done[N_ITEMS];
  guint64 in_use, most;
  guint running, most_running;
  guint fail_at;
  GCancellable *cancel;
} Fake;

static gsize
kept_cost (gpointer data, guint item)
{
  return item == 7 ? 1 << 19 : 1000;
}

static gsize
task_cost (gpointer data, guint item)
{
  return item == 7 ? 1 << 19 : (item + 1) * 4096;
}

static guint
n_tasks (gpointer data, guint item)
{
  return 5;
}

static gboolean
run (gpointer data, guint item, guint task, Arena *arena, Schedule *schedule, GError **error)
{
  Fake *f = data;

  g_assert_cmpuint (arena->size, >=, task_cost (f, item));
  memset (arena->base, (int) task, arena->size);
  g_mutex_lock (&f->lock);
  f->in_use += arena->size;
  f->most = MAX (f->most, f->in_use);
  f->running++;
  f->most_running = MAX (f->most_running, f->running);
  g_mutex_unlock (&f->lock);
  g_usleep (50);
  g_mutex_lock (&f->lock);
  f->in_use -= arena->size;
  f->running--;
  f->done[item]++;
  g_mutex_unlock (&f->lock);
  if (f->cancel != NULL && item == 20)
    g_cancellable_cancel (f->cancel);
  return item != f->fail_at || qconv_fail (error, QCONV_ERROR_INPUT, "item %u", item);
}

static gboolean
advance (gpointer data, guint item, gboolean *more, GError **error)
{
  Fake *f = data;

  f->phase[item]++;
  g_assert_cmpuint (f->done[item], ==, 5 * f->phase[item]); /* no phase starts before the one before is over */
  *more = f->phase[item] < N_PHASES;
  return TRUE;
}

static const ScheduleOps ops = { kept_cost, task_cost, n_tasks, run, advance };

static void
test_all_run (gconstpointer data)
{
  guint n_threads = GPOINTER_TO_UINT (data);
  Fake f = { .fail_at = G_MAXUINT };
  g_autoptr (GError) error = NULL;

  g_assert_true (qconv_schedule_run (&ops, &f, N_ITEMS, &(Limits) { 1 << 20, n_threads }, NULL, &error));
  g_assert_no_error (error);
  for (guint i = 0; i < N_ITEMS; i++)
    g_assert_cmpuint (f.done[i], ==, 5 * N_PHASES);
  g_assert_cmpuint (f.most, <=, 1 << 20);
  g_assert_cmpuint (f.most_running, <=, n_threads);
}

static void
test_error_stops (void)
{
  Fake f = { .fail_at = 13 };
  g_autoptr (GError) error = NULL;

  g_assert_false (qconv_schedule_run (&ops, &f, N_ITEMS, &(Limits) { 1 << 20, 3 }, NULL, &error));
  g_assert_error (error, QCONV_ERROR, QCONV_ERROR_INPUT);
  g_assert_cmpuint (f.done[N_ITEMS - 1], ==, 0);
}

static gsize
no_cost (gpointer data, guint item)
{
  return 0;
}

static guint
one_task (gpointer data, guint item)
{
  return 1;
}

/* Item 1 fails, and only then item 0 */
static gboolean
fail_late (gpointer data, guint item, guint task, Arena *arena, Schedule *schedule, GError **error)
{
  gint *failed = data;

  while (item == 0 && g_atomic_int_get (failed) == 0)
    g_usleep (1000);
  g_usleep (item == 0 ? 20000 : 0);
  g_atomic_int_set (failed, 1);
  return qconv_fail (error, QCONV_ERROR_INPUT, "item %u", item);
}

/* Tests that the error does not depend on which of two items fails first */
static void
test_first_error (void)
{
  const ScheduleOps late = { no_cost, no_cost, one_task, fail_late, advance };
  g_autoptr (GError) error = NULL;
  gint failed = 0;

  g_assert_false (qconv_schedule_run (&late, &failed, 2, &(Limits) { 1 << 20, 2 }, NULL, &error));
  g_assert_error (error, QCONV_ERROR, QCONV_ERROR_INPUT);
  g_assert_cmpstr (error->message, ==, "item 0");
}

static void
test_cancel (void)
{
  g_autoptr (GCancellable) cancel = g_cancellable_new ();
  Fake f = { .fail_at = G_MAXUINT, .cancel = cancel };
  g_autoptr (GError) error = NULL;

  g_assert_false (qconv_schedule_run (&ops, &f, N_ITEMS, &(Limits) { 1 << 20, 3 }, cancel, &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
}

static void
test_tiny_budget (void)
{
  Fake f = { .fail_at = G_MAXUINT };
  g_autoptr (GError) error = NULL;

  /* Tests a budget smaller than any task: tasks run one at a time, and never deadlock */
  g_assert_true (qconv_schedule_run (&ops, &f, N_ITEMS, &(Limits) { 1, 4 }, NULL, &error));
  g_assert_no_error (error);
  g_assert_cmpuint (f.most_running, ==, 1);
}

static void
test_nothing (void)
{
  Fake f = { .fail_at = G_MAXUINT };

  g_assert_true (qconv_schedule_run (&ops, &f, 0, &(Limits) { 1 << 20, 4 }, NULL, NULL));
}

static void
see (const QconvProgress *progress, gpointer data)
{
  *(QconvProgress *) data = *progress;
}

/* Tests that bytes which an earlier run has done count as done, but not in the rate */
static void
test_skipped (void)
{
  QconvProgress seen = { 0 };
  const Listener listener = { .progress = see, .user_data = &seen };
  Progress p;

  qconv_progress_init (&p, 1000, "converting", &listener);
  qconv_progress_skip (&p, 600);
  p.start = p.last = g_get_monotonic_time () - 10 * G_USEC_PER_SEC;
  qconv_progress_add (&p, 200, "layer");
  g_assert_cmpuint (seen.done_bytes, ==, 800);
  g_assert_cmpfloat (seen.rate, >, 0);
  g_assert_cmpfloat (seen.rate, <=, 20);
  g_assert_cmpfloat (seen.eta, >=, 10);
  qconv_progress_clear (&p);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_data_func ("/schedule/one-thread", GUINT_TO_POINTER (1), test_all_run);
  g_test_add_data_func ("/schedule/eight-threads", GUINT_TO_POINTER (8), test_all_run);
  g_test_add_func ("/schedule/error-stops", test_error_stops);
  g_test_add_func ("/schedule/first-error", test_first_error);
  g_test_add_func ("/schedule/cancel", test_cancel);
  g_test_add_func ("/schedule/tiny-budget", test_tiny_budget);
  g_test_add_func ("/schedule/nothing", test_nothing);
  g_test_add_func ("/schedule/skipped", test_skipped);
  return g_test_run ();
}
