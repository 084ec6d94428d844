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

/* ---- Tasks that several threads share ---- */

enum { N_SHARED = 60, MOST = 3 };

/**
 * Shared: a call of qconv_schedule_share() by the only task of a run.
 *
 * @pair: tasks 0 and 1 wait for each other, which takes two threads
 * @fail: tasks from this number on fail; @cancel: (nullable): cancelled by task 10
 * @order: the tasks in the order in which they began; @busy: workers that run a task
 */
typedef struct {
  GMutex lock;
  gboolean pair;
  guint fail, n, order[N_SHARED];
  gboolean busy[MOST];
  gint met;
  GCancellable *cancel;
} Shared;

static gboolean
shared_task (gpointer data, guint task, guint worker, GError **error)
{
  Shared *x = data;

  g_assert_cmpuint (worker, <, MOST);
  g_mutex_lock (&x->lock);
  g_assert_false (x->busy[worker]); /* each thread has a number of its own */
  x->busy[worker] = TRUE;
  x->order[x->n++] = task;
  g_mutex_unlock (&x->lock);
  if (x->pair && task < 2)
    for (g_atomic_int_inc (&x->met); g_atomic_int_get (&x->met) < 2;)
      g_usleep (1000);
  if (x->cancel != NULL && task == 10)
    g_cancellable_cancel (x->cancel);
  /* the first of the tasks that fail is the last one to say so */
  g_usleep (task == x->fail ? 20000 : 50);
  g_mutex_lock (&x->lock);
  x->busy[worker] = FALSE;
  g_mutex_unlock (&x->lock);
  return task < x->fail || qconv_fail (error, QCONV_ERROR_INPUT, "task %u", task);
}

static gboolean
run_shared (gpointer data, guint item, guint task, Arena *arena, Schedule *schedule, GError **error)
{
  return qconv_schedule_share (schedule, MOST, N_SHARED, shared_task, data, error);
}

static gboolean
one_phase (gpointer data, guint item, gboolean *more, GError **error)
{
  *more = FALSE;
  return TRUE;
}

static gboolean
share (Shared *x, guint n_threads, GError **error)
{
  static const ScheduleOps shared_ops = { no_cost, no_cost, one_task, run_shared, one_phase };

  return qconv_schedule_run (&shared_ops, x, 1, &(Limits) { 1 << 20, n_threads }, x->cancel, error);
}

/* Tests that one thread runs the tasks in order, and that idle threads help: not more than asked for, nor than there
   are */
static void
test_share (void)
{
  for (guint n_threads = 1; n_threads <= 5; n_threads++)
    {
      Shared x = { .pair = n_threads > 1, .fail = G_MAXUINT };
      gboolean seen[N_SHARED] = { FALSE };

      g_assert_true (share (&x, n_threads, NULL));
      g_assert_cmpuint (x.n, ==, N_SHARED);
      for (guint i = 0; i < N_SHARED; i++)
        {
          g_assert_true (n_threads > 1 || x.order[i] == i);
          g_assert_false (seen[x.order[i]]);
          seen[x.order[i]] = TRUE;
        }
    }
}

static void
test_share_error (void)
{
  for (guint n_threads = 1; n_threads <= 5; n_threads += 2)
    {
      g_autoptr (GError) error = NULL;
      Shared x = { .fail = 20 };

      g_assert_false (share (&x, n_threads, &error));
      g_assert_error (error, QCONV_ERROR, QCONV_ERROR_INPUT);
      g_assert_cmpstr (error->message, ==, "task 20");
      g_assert_cmpuint (x.n, <, 20 + n_threads + 1);
    }
}

static void
test_share_cancel (void)
{
  for (guint n_threads = 1; n_threads <= 5; n_threads += 2)
    {
      g_autoptr (GCancellable) cancel = g_cancellable_new ();
      g_autoptr (GError) error = NULL;
      Shared x = { .fail = G_MAXUINT, .cancel = cancel };

      g_assert_false (share (&x, n_threads, &error));
      g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
      g_assert_cmpuint (x.n, <, N_SHARED);
    }
}

/* ---- Progress ---- */

/* Tests that a task counts each byte once, whatever it reports on the way, and never goes back */
static void
test_reached (void)
{
  const Listener listener = { 0 };
  guint64 counted = 0;
  Progress p;

  qconv_progress_init (&p, 1000, "converting", &listener);
  qconv_progress_reach (&p, &counted, 300, &(Doing) { "layer", 0, 0 });
  qconv_progress_reach (&p, &counted, 200, &(Doing) { "layer", 0, 0 });
  g_assert_cmpuint (p.done, ==, 300);
  qconv_progress_add (&p, 100, "other");
  qconv_progress_reach (&p, &counted, 400, &(Doing) { "layer", 2, 6 });
  g_assert_cmpuint (p.done, ==, 500);
  g_assert_cmpuint (counted, ==, 400);
  qconv_progress_clear (&p);
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

/* Tests that a listener hears the layer and its round, and the round of no other */
static void
test_round (void)
{
  QconvProgress seen = { 0 };
  const Listener listener = { .progress = see, .user_data = &seen };
  guint64 counted = 0;
  Progress p;

  qconv_progress_init (&p, 1000, "converting", &listener);
  p.last = 0;
  qconv_progress_reach (&p, &counted, 10, &(Doing) { "layer", 2, 6 });
  g_assert_cmpstr (seen.layer, ==, "layer");
  g_assert_cmpuint (seen.round, ==, 2);
  g_assert_cmpuint (seen.n_rounds, ==, 6);
  p.last = 0;
  qconv_progress_add (&p, 10, "other");
  g_assert_cmpstr (seen.layer, ==, "other");
  g_assert_cmpuint (seen.round, ==, 0);
  qconv_progress_clear (&p);
}

/* ---- Memory of the caller ---- */

/* @in_use, @most: bytes that were allocated */
typedef struct {
  GMutex lock;
  Schedule *schedule;
  GHashTable *sizes; /* memory -> bytes */
  gsize in_use, most;
  guint n_freed;
} Memory;

static gboolean
do_nothing (gpointer data, guint task, guint worker, GError **error)
{
  return TRUE;
}

/* Asks the scheduler for something, which waits forever if the scheduler waits for this function */
static void
call_schedule (Memory *m)
{
  Schedule *s;

  g_mutex_lock (&m->lock);
  s = m->schedule;
  g_mutex_unlock (&m->lock);
  if (s != NULL)
    qconv_schedule_share (s, 1, 1, do_nothing, NULL, NULL);
}

static guint8 *
slow_alloc (gpointer data, gsize n)
{
  Memory *m = data;
  guint8 *memory = g_aligned_alloc (n, 1, ARENA_ALIGN);

  call_schedule (m);
  g_mutex_lock (&m->lock);
  g_hash_table_insert (m->sizes, memory, GSIZE_TO_POINTER (n));
  m->in_use += n;
  m->most = MAX (m->most, m->in_use);
  g_mutex_unlock (&m->lock);
  return memory;
}

static void
slow_free (gpointer data, guint8 *memory)
{
  Memory *m = data;

  call_schedule (m);
  g_mutex_lock (&m->lock);
  m->in_use -= GPOINTER_TO_SIZE (g_hash_table_lookup (m->sizes, memory));
  m->n_freed++;
  g_mutex_unlock (&m->lock);
  g_aligned_free (memory);
}

static gboolean
note_schedule (gpointer data, guint item, guint task, Arena *arena, Schedule *schedule, GError **error)
{
  Memory *m = data;

  memset (arena->base, (int) task, arena->size);
  g_mutex_lock (&m->lock);
  m->schedule = schedule;
  g_mutex_unlock (&m->lock);
  g_usleep (50);
  return TRUE;
}

static gboolean
end_item (gpointer data, guint item, gboolean *more, GError **error)
{
  *more = FALSE;
  return TRUE;
}

/* Tests that the scheduler goes on while memory is allocated and freed, within the budget */
static void
test_memory (gconstpointer data)
{
  static const ScheduleOps slow = { no_cost, task_cost, n_tasks, note_schedule, end_item, slow_alloc, slow_free };
  Memory m = { .sizes = g_hash_table_new (NULL, NULL) };
  g_autoptr (GError) error = NULL;

  g_assert_true (qconv_schedule_run (&slow, &m, N_ITEMS, &(Limits) { 1 << 19, GPOINTER_TO_UINT (data) }, NULL, &error));
  g_assert_no_error (error);
  g_assert_cmpuint (m.most, <=, 1 << 19);
  g_assert_cmpuint (m.in_use, ==, 0);
  g_assert_cmpuint (m.n_freed, >, 3);
  g_hash_table_unref (m.sizes);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/progress/round", test_round);
  g_test_add_data_func ("/schedule/one-thread", GUINT_TO_POINTER (1), test_all_run);
  g_test_add_data_func ("/schedule/eight-threads", GUINT_TO_POINTER (8), test_all_run);
  g_test_add_func ("/schedule/error-stops", test_error_stops);
  g_test_add_func ("/schedule/first-error", test_first_error);
  g_test_add_func ("/schedule/cancel", test_cancel);
  g_test_add_func ("/schedule/tiny-budget", test_tiny_budget);
  g_test_add_func ("/schedule/nothing", test_nothing);
  g_test_add_func ("/schedule/share", test_share);
  g_test_add_func ("/schedule/share-error", test_share_error);
  g_test_add_func ("/schedule/share-cancel", test_share_cancel);
  g_test_add_func ("/schedule/reached", test_reached);
  g_test_add_func ("/schedule/skipped", test_skipped);
  g_test_add_data_func ("/schedule/memory/1", GUINT_TO_POINTER (1), test_memory);
  g_test_add_data_func ("/schedule/memory/4", GUINT_TO_POINTER (4), test_memory);
  return g_test_run ();
}
