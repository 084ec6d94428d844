/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Runs tasks on a pool of threads, items in order, within a memory limit. An item goes through phases; each phase
   has tasks. If several tasks fail, the error is the one that a single thread would meet first. run/ and check/ use
   it. */
#include "schedule/schedule.h"

/* Active: a started item. @next: tasks handed out in this phase; @done: tasks done in this phase */
typedef struct {
  guint item, n_tasks, next, done;
  gsize task_cost;
} Active;

/**
 * Share: a call of qconv_schedule_share().
 *
 * @end: tasks [0, end) are wanted: all, or those before the one that failed
 * @next: tasks that were handed out; @most: threads that may take part; @joined: those that did
 * @helping: threads beside the caller that still run tasks
 * @error: (nullable): of task @end
 */
typedef struct {
  guint end, next, most, joined, helping;
  QconvTaskFunc func;
  gpointer data;
  GError *error;
} Share;

struct _Schedule {
  const ScheduleOps *ops;
  gpointer data;
  guint end, next_item; /* items [0, end) are wanted: all, or those before the one that failed */
  guint64 memory, used; /* bytes of all blocks, and the kept bytes of items */
  GMutex lock;
  GCond changed;
  GPtrArray *active; /* Active, in the order of their items */
  GPtrArray *idle;   /* Arena: blocks that no task uses */
  gboolean crowded;  /* idle blocks are in the way of a task or an item */
  guint n_dropping;  /* threads that free blocks */
  GPtrArray *shares; /* Share: those that idle threads may help with */
  guint n_running, n_threads;
  GPtrArray *threads; /* GThread; the calling thread works too and is not among them */
  GCancellable *cancellable;
  GError *error; /* of item @end */
  guint failed_task;
};

static guint8 *
alloc_memory (const Schedule *s, gsize n)
{
  return s->ops->alloc != NULL ? s->ops->alloc (s->data, n) : g_aligned_alloc (n, 1, ARENA_ALIGN);
}

/* Frees all idle blocks. The caller holds the lock, but not meanwhile: memory of a device takes long */
static void
drop_idle (Schedule *s)
{
  GPtrArray *idle = g_steal_pointer (&s->idle);
  guint64 size = 0;

  s->idle = g_ptr_array_new ();
  s->crowded = FALSE;
  s->n_dropping++;
  g_mutex_unlock (&s->lock);
  for (guint i = 0; i < idle->len; i++)
    {
      Arena *a = g_ptr_array_index (idle, i);

      size += a->size;
      if (s->ops->free != NULL)
        s->ops->free (s->data, a->base);
      else
        g_aligned_free (a->base);
      g_free (a);
    }
  g_ptr_array_unref (idle);
  g_mutex_lock (&s->lock);
  s->n_dropping--;
  s->used -= size;
  g_cond_broadcast (&s->changed);
}

/* Returns whether there is room for @n bytes. If there will be when idle blocks are freed, work() does that and asks
   again */
static gboolean
fits (Schedule *s, gsize n)
{
  if (s->used + n <= s->memory)
    return TRUE;
  s->crowded = s->idle->len > 0;
  /* If no task runs, no memory can become free, so the request is granted. The plan checked that one task alone
     fits */
  return s->n_running == 0 && !s->crowded && s->n_dropping == 0;
}

/* Returns an idle block of at least @n bytes, or a new one, whose memory run_task() allocates; NULL if there is no
   room */
static Arena *
take_block (Schedule *s, gsize n)
{
  Arena *a;

  for (guint i = 0; i < s->idle->len; i++)
    {
      a = g_ptr_array_index (s->idle, i);
      if (a->size >= n && a->size <= 2 * n)
        return g_ptr_array_steal_index_fast (s->idle, i);
    }
  if (!fits (s, n))
    return NULL;
  a = g_new0 (Arena, 1);
  a->size = arena_round (n);
  s->used += a->size;
  return a;
}

static void
give_block (Schedule *s, Arena *a)
{
  a->used = 0;
  g_ptr_array_add (s->idle, a);
}

/* Starts the next item if its kept bytes leave room for the largest task of all started items */
static gboolean
start_item (Schedule *s)
{
  guint item = s->next_item;
  gsize kept = s->ops->kept_cost (s->data, item), task = s->ops->task_cost (s->data, item), most = task;
  Active *a;

  for (guint i = 0; i < s->active->len; i++)
    most = MAX (most, ((const Active *) g_ptr_array_index (s->active, i))->task_cost);
  if (s->active->len > 0 && !fits (s, kept + most))
    return FALSE;
  a = g_new0 (Active, 1);
  a->item = item;
  a->task_cost = task;
  a->n_tasks = s->ops->n_tasks (s->data, item);
  s->used += kept;
  s->next_item++;
  g_ptr_array_add (s->active, a);
  return TRUE;
}

static void
finish_item (Schedule *s, Active *a)
{
  s->used -= s->ops->kept_cost (s->data, a->item);
  g_ptr_array_remove (s->active, a);
}

/* Returns a task to run, with a block for it; NULL if none can run now */
static Active *
pick_task (Schedule *s, Arena **block)
{
  for (guint i = 0;; i++)
    {
      Active *a;

      if (i == s->active->len && (s->next_item >= s->end || !start_item (s)))
        return NULL;
      a = g_ptr_array_index (s->active, i);
      if (a->item >= s->end)
        return NULL;
      if (a->next == a->n_tasks)
        continue;
      *block = take_block (s, a->task_cost);
      return *block != NULL ? a : NULL;
    }
}

/* Keeps the error of the first item, and of its first task, that fails. The items before it go on: one of them may fail
   too. They have all been started */
static void
keep_error (Schedule *s, const Active *a, guint task, GError *error)
{
  if (a->item < s->end || (a->item == s->end && s->error != NULL && task < s->failed_task))
    {
      g_clear_error (&s->error);
      s->error = error;
      s->end = a->item;
      s->failed_task = task;
    }
  else
    g_error_free (error);
}

static gpointer work (gpointer data);

/* Starts one more thread. Returns FALSE if there are enough. If the system has no thread left, the others do all work.
   The caller holds the lock */
static gboolean
start_thread (Schedule *s)
{
  GThread *thread;

  if (s->threads->len + 1 >= s->n_threads)
    return FALSE;
  thread = g_thread_try_new ("qconv", work, s, NULL);
  if (thread != NULL)
    g_ptr_array_add (s->threads, thread);
  else
    s->n_threads = s->threads->len + 1;
  return thread != NULL;
}

/* Returns whether a task may wait for a thread. The caller holds the lock */
static gboolean
task_waits (const Schedule *s)
{
  gboolean waits = s->next_item < s->end;

  for (guint i = 0; i < s->active->len; i++)
    {
      const Active *a = g_ptr_array_index (s->active, i);

      waits |= a->item < s->end && a->next < a->n_tasks;
    }
  return waits;
}

/* Runs one task, which gets memory if @block has none. The last task of a phase takes its item to the next phase. The
   caller holds the lock; the task runs, and gets memory, without it */
static void
run_task (Schedule *s, Active *a, Arena *block)
{
  guint task = a->next++;
  GError *error = NULL;
  gboolean ok, more = TRUE;

  s->n_running++;
  if (task_waits (s))
    start_thread (s);
  g_mutex_unlock (&s->lock);
  if (block->base == NULL)
    block->base = alloc_memory (s, block->size);
  ok = !g_cancellable_set_error_if_cancelled (s->cancellable, &error)
       && s->ops->run (s->data, a->item, task, block, s, &error);
  g_mutex_lock (&s->lock);
  give_block (s, block);
  if (ok && ++a->done == a->n_tasks && a->item < s->end)
    {
      g_mutex_unlock (&s->lock);
      ok = s->ops->advance (s->data, a->item, &more, &error);
      g_mutex_lock (&s->lock);
      if (ok && !more)
        finish_item (s, a);
      else if (ok)
        {
          a->n_tasks = s->ops->n_tasks (s->data, a->item);
          a->next = a->done = 0;
        }
    }
  if (!ok)
    keep_error (s, a, task, error);
  s->n_running--;
  g_cond_broadcast (&s->changed);
}

static gboolean
has_work (const Schedule *s)
{
  const Active *first = s->active->len > 0 ? g_ptr_array_index (s->active, 0) : NULL;

  return s->next_item < s->end || (first != NULL && first->item < s->end);
}

/* ---- Tasks that several threads share ---- */

/* Runs tasks of @x as worker number @worker until none is left. The caller holds the lock */
static void
run_share (Schedule *s, Share *x, guint worker)
{
  while (x->next < x->end)
    {
      guint task = x->next++;
      GError *error = NULL;
      gboolean ok;

      g_mutex_unlock (&s->lock);
      ok = !g_cancellable_set_error_if_cancelled (s->cancellable, &error) && x->func (x->data, task, worker, &error);
      g_mutex_lock (&s->lock);
      if (!ok && task < x->end)
        {
          g_clear_error (&x->error);
          x->error = g_steal_pointer (&error);
          x->end = task;
        }
      g_clear_error (&error);
    }
}

/* Helps with tasks that another thread shares. Returns FALSE if there are none. The caller holds the lock */
static gboolean
help (Schedule *s)
{
  for (guint i = 0; i < s->shares->len; i++)
    {
      Share *x = g_ptr_array_index (s->shares, i);

      if (x->joined >= x->most || x->next >= x->end)
        continue;
      x->helping++;
      run_share (s, x, x->joined++);
      if (--x->helping == 0)
        g_cond_broadcast (&s->changed);
      return TRUE;
    }
  return FALSE;
}

gboolean
qconv_schedule_share (Schedule *s, guint most, guint n_tasks, QconvTaskFunc func, gpointer data, GError **error)
{
  Share x = { .end = n_tasks, .most = MIN (most, n_tasks), .joined = 1, .func = func, .data = data };

  g_mutex_lock (&s->lock);
  if (x.most > 1)
    {
      g_ptr_array_add (s->shares, &x);
      /* A thread that starts after the end of all work would not be joined */
      while (has_work (s) && s->threads->len + 1 < x.most && start_thread (s))
        ;
      g_cond_broadcast (&s->changed);
    }
  run_share (s, &x, 0);
  g_ptr_array_remove (s->shares, &x);
  while (x.helping > 0)
    g_cond_wait (&s->changed, &s->lock);
  g_mutex_unlock (&s->lock);
  if (x.error == NULL)
    return TRUE;
  g_propagate_error (error, x.error);
  return FALSE;
}

static gpointer
work (gpointer data)
{
  Schedule *s = data;

  g_mutex_lock (&s->lock);
  while (has_work (s))
    {
      Arena *block = NULL;
      Active *a = pick_task (s, &block);

      if (a != NULL)
        run_task (s, a, block);
      else if (s->crowded)
        drop_idle (s);
      else if (!help (s))
        g_cond_wait (&s->changed, &s->lock);
    }
  g_cond_broadcast (&s->changed);
  g_mutex_unlock (&s->lock);
  return NULL;
}

gboolean
qconv_schedule_run (const ScheduleOps *ops, gpointer data, guint n_items, const Limits *limits,
                    GCancellable *cancellable, GError **error)
{
  Schedule s = { .ops = ops,
                 .data = data,
                 .end = n_items,
                 .memory = limits->memory,
                 .n_threads = MIN (limits->n_threads, MAX_THREADS),
                 .cancellable = cancellable };

  s.threads = g_ptr_array_new ();
  g_mutex_init (&s.lock);
  g_cond_init (&s.changed);
  s.active = g_ptr_array_new_with_free_func (g_free);
  s.idle = g_ptr_array_new ();
  s.shares = g_ptr_array_new ();
  work (&s);
  /* All work is done, so no thread starts another one */
  for (guint i = 0; i < s.threads->len; i++)
    g_thread_join (g_ptr_array_index (s.threads, i));
  g_ptr_array_unref (s.threads);
  g_ptr_array_unref (s.active);
  g_mutex_lock (&s.lock);
  drop_idle (&s);
  g_mutex_unlock (&s.lock);
  g_ptr_array_unref (s.idle);
  g_ptr_array_unref (s.shares);
  g_mutex_clear (&s.lock);
  g_cond_clear (&s.changed);
  if (s.error == NULL)
    return TRUE;
  g_propagate_error (error, s.error);
  return FALSE;
}
