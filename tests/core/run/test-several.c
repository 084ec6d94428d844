/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tests runs that write a set of parts. All of them appear or none. */
#include <fcntl.h>
#include <glib/gstdio.h>
#include <string.h>
#include <unistd.h>

#include "toy.h"

enum { SMALL = 20000 }; /* a.weight of toy_mixed is larger as floats, and all else together too */

typedef struct {
  char *in, *folder, *out;
} Place;

static void
setup (Place *p, gconstpointer data)
{
  p->in = toy_path ("in.box");
  p->folder = toy_path ("outputs");
  p->out = g_build_filename (p->folder, "out.box", NULL);
  g_assert_cmpint (g_mkdir (p->folder, 0777), ==, 0);
  toy_reset ();
  toy_write (p->in, toy_mixed, (const char *const[]) { "author=me", NULL });
}

/* Returns the number of files in the folder, and removes them if @clear */
static guint
count_files (const char *folder, gboolean clear)
{
  g_autoptr (GDir) dir = g_dir_open (folder, 0, NULL);
  const char *name;
  guint n = 0;

  for (; dir != NULL && (name = g_dir_read_name (dir)) != NULL; n++)
    {
      g_autofree char *path = g_build_filename (folder, name, NULL);

      if (clear)
        g_remove (path);
    }
  return n;
}

static void
teardown (Place *p, gconstpointer data)
{
  toy_reset ();
  count_files (p->folder, TRUE);
  g_assert_cmpint (g_rmdir (p->folder), ==, 0);
  g_free (p->in);
  g_free (p->folder);
  g_free (p->out);
}

/* Returns: (transfer full): the path of part @no of three, or of their index if @no is 3 */
static char *
part (const Place *p, guint no)
{
  g_autofree char *name = no < 3 ? g_strdup_printf ("out.%uof3.box", no) : g_strdup ("out.box.list");

  return g_build_filename (p->folder, name, NULL);
}

static gboolean
run (const Place *p, const QconvJob *job, QconvReport **report, GError **error)
{
  g_autoptr (QconvModel) m = toy_open (p->in);
  QconvJob all = *job;

  if (all.target == NULL)
    all.target = "half-toy";
  if (all.output == NULL)
    all.output = p->out;
  return toy_run (m, &all, report, error);
}

static const QconvJob split = { .run.split = SMALL };

/* Makes a set, which must succeed */
static void
make_set (const Place *p)
{
  g_autoptr (GError) error = NULL;

  run (p, &split, NULL, &error);
  g_assert_no_error (error);
}

/* Puts a file with the text "old" at every path of the set but those from @first on */
static void
put_old (const Place *p, guint first, guint end)
{
  for (guint i = first; i < end; i++)
    {
      g_autofree char *path = part (p, i);

      toy_write_text (path, "old");
    }
}

static void
assert_old (const Place *p, guint first, guint end)
{
  for (guint i = first; i < end; i++)
    {
      g_autofree char *path = part (p, i), *text = NULL;

      g_assert_true (g_file_get_contents (path, &text, NULL, NULL));
      g_assert_cmpstr (text, ==, "old");
    }
}

/* ---- A set ---- */

/* Tests the plan and the files: names, sizes, which tensors are where, metadata, checksums, the index */
static void
test_set (Place *p, gconstpointer data)
{
  g_autofree char *whole = toy_path ("whole.box"), *first = part (p, 0), *list = part (p, 3), *text = NULL;
  g_autoptr (QconvModel) m = toy_open (p->in), set = NULL;
  g_autoptr (GError) error = NULL;
  g_autoptr (QconvPlan) plan = NULL;
  g_autoptr (QconvReport) report = NULL;
  g_autoptr (GArray) outputs = NULL;
  guint64 bytes = 0;

  toy_convert (p->in, whole, &(QconvJob) { .target = "half-toy" });
  plan = qconv_plan_new (
      m, &(QconvJob) { .target = "half-toy", .output = p->out, .run.split = SMALL, .run.n_threads = 3 }, &error);
  g_assert_no_error (error);
  outputs = qconv_plan_outputs (plan);
  g_assert_cmpuint (outputs->len, ==, 4);
  g_assert_cmpstr (qconv_plan_output (plan), ==, first);
  g_assert_true (qconv_plan_check_output (plan, &error));
  g_assert_cmpuint (count_files (p->folder, FALSE), ==, 0);
  g_assert_true (qconv_plan_run (plan, NULL, NULL, NULL, &report, &error));
  g_assert_true (report->ok);
  g_assert_cmpuint (count_files (p->folder, FALSE), ==, 4);
  for (guint i = 0; i < outputs->len; i++)
    {
      const QconvOutputFile *f = &g_array_index (outputs, QconvOutputFile, i);
      g_autofree char *path = part (p, i);
      g_autoptr (GBytes) file = toy_file (path);

      g_assert_cmpstr (f->path, ==, path);
      g_assert_cmpuint (f->bytes, ==, g_bytes_get_size (file));
      bytes += f->bytes;
    }
  g_assert_cmpuint (bytes, ==, qconv_plan_output_bytes (plan));
  set = toy_open (first);
  g_assert_cmpuint (report->n_checksums, ==, qconv_directory_n_tensors (qconv_model_directory (set)));
  g_assert_nonnull (qconv_directory_metadata (qconv_model_directory (set), "author"));
  g_assert_true (g_file_get_contents (list, &text, NULL, NULL));
  g_assert_true (g_str_has_prefix (text, "a.weight out.0of3.box\n"));
  g_assert_nonnull (strstr (text, "\nlong.weight out.1of3.box\nlong.scale out.1of3.box\n"));
  g_assert_nonnull (strstr (text, "\nb.weight out.2of3.box\n"));
}

/* Tests that a set holds the tensors of the single file, whatever the threads, and that it can be converted on */
static void
test_same_tensors (Place *p, gconstpointer data)
{
  g_autofree char *whole = toy_path ("whole.box"), *again = toy_path ("again.box"), *first = part (p, 0);
  g_autoptr (QconvModel) one = NULL, set = NULL;
  const QconvDirectory *d;

  toy_convert (p->in, whole, &(QconvJob) { .target = "half-toy" });
  make_set (p);
  one = toy_open (whole);
  set = toy_open (first);
  d = qconv_model_directory (one);
  g_assert_cmpuint (qconv_directory_n_tensors (d), ==, qconv_directory_n_tensors (qconv_model_directory (set)));
  for (guint i = 0; i < qconv_directory_n_tensors (d); i++)
    {
      const QconvTensor *a = qconv_directory_tensor (d, i);
      const QconvTensor *b = qconv_directory_find (qconv_model_directory (set), a->name);
      g_autofree guint8 *x = g_malloc (a->n_bytes + 1), *y = g_malloc (a->n_bytes + 1);

      g_assert_nonnull (b);
      g_assert_cmpuint (a->n_bytes, ==, b->n_bytes);
      g_assert_true (qconv_tensor_read (a, 0, a->n_bytes, x, NULL) && qconv_tensor_read (b, 0, b->n_bytes, y, NULL));
      g_assert_cmpmem (x, a->n_bytes, y, b->n_bytes);
    }
  toy_convert (first, again, &(QconvJob) { .target = "half-toy" });
  {
    g_autoptr (GBytes) a = toy_file (whole), b = toy_file (again);

    g_assert_true (g_bytes_equal (a, b));
  }
}

/* Tests that one part is a single file like any other */
static void
test_one_part (Place *p, gconstpointer data)
{
  g_autofree char *whole = toy_path ("whole.box");
  g_autoptr (GError) error = NULL;
  g_autoptr (GBytes) a = NULL, b = NULL;

  toy_convert (p->in, whole, &(QconvJob) { .target = "half-toy" });
  run (p, &(QconvJob) { .run.split = 1 << 30 }, NULL, &error);
  g_assert_no_error (error);
  a = toy_file (whole);
  b = toy_file (p->out);
  g_assert_true (g_bytes_equal (a, b));
  g_assert_cmpuint (count_files (p->folder, FALSE), ==, 1);
}

/* ---- All or nothing ---- */

/* Tests that one existing file of the set is enough for a refusal before any work, and that --force replaces all */
static void
test_existing (Place *p, gconstpointer data)
{
  g_autoptr (GError) error = NULL;
  g_autofree char *last = part (p, 3);
  GStatBuf st;

  put_old (p, 2, 3);
  g_assert_false (run (p, &split, NULL, &error));
  toy_assert_error (error, QCONV_ERROR_OPTION, "*out.2of3.box: exists; --force*");
  g_assert_cmpint (toy.calls[TOY_ENCODE], ==, 0);
  assert_old (p, 2, 3);
  g_assert_cmpuint (count_files (p->folder, FALSE), ==, 1);
  put_old (p, 0, 4);
  g_clear_error (&error);
  run (p, &(QconvJob) { .run.split = SMALL, .run.force = TRUE }, NULL, &error);
  g_assert_no_error (error);
  g_assert_cmpuint (count_files (p->folder, FALSE), ==, 4);
  g_assert_cmpint (g_stat (last, &st), ==, 0);
  g_assert_cmpint (st.st_size, >, 3);
}

/* Tests hooks that fail in the first, the second and the last file: nothing stays, nothing is harmed */
static void
test_failures (Place *p, gconstpointer data)
{
  for (gint spare = 0; spare < 3; spare++)
    for (gint force = 0; force < 2; force++)
      {
        g_autoptr (GError) error = NULL;

        toy_reset ();
        toy.fail = TOY_COMPLETE;
        toy.code = QCONV_ERROR_LIMIT;
        toy.spare = spare;
        if (force)
          put_old (p, 0, 4);
        g_assert_false (run (p, &(QconvJob) { .run.split = SMALL, .run.force = force != 0 }, NULL, &error));
        g_assert_error (error, QCONV_ERROR, QCONV_ERROR_LIMIT);
        if (force)
          assert_old (p, 0, 4);
        g_assert_cmpuint (count_files (p->folder, TRUE), ==, force ? 4 : 0);
      }
  toy_reset ();
  toy.fail = TOY_INDEX;
  toy.code = QCONV_ERROR_UNSUPPORTED;
  g_assert_false (run (p, &split, NULL, NULL));
  g_assert_cmpuint (count_files (p->folder, FALSE), ==, 0);
}

typedef struct {
  const char *path;
  gboolean folder;
} Appears;

/* Lets a file or a folder appear when the tensors are written */
static void
appear (ToyHook hook, gpointer data)
{
  const Appears *a = data;

  if (hook != TOY_COMPLETE || g_file_test (a->path, G_FILE_TEST_IS_DIR))
    return;
  if (a->folder)
    g_remove (a->path);
  if (a->folder)
    g_mkdir (a->path, 0777);
  else
    toy_write_text (a->path, "old");
}

/* Tests that names that were given already are taken back if another file cannot have its own */
static void
test_taken_back (Place *p, gconstpointer data)
{
  g_autofree char *third = part (p, 2);
  Appears file = { third, FALSE }, folder = { third, TRUE };
  g_autoptr (GError) error = NULL, other = NULL;

  toy.watch = appear;
  toy.watch_data = &file;
  g_assert_false (run (p, &split, NULL, &error));
  toy_assert_error (error, QCONV_ERROR_OPTION, "*out.2of3.box: appeared meanwhile*");
  assert_old (p, 2, 3);
  g_assert_cmpuint (count_files (p->folder, TRUE), ==, 1);
  put_old (p, 0, 4);
  toy.watch_data = &folder;
  g_assert_false (run (p, &(QconvJob) { .run.split = SMALL, .run.force = TRUE }, NULL, &other));
  g_assert_nonnull (other);
  assert_old (p, 0, 2);
  assert_old (p, 3, 4);
  g_assert_true (g_file_test (third, G_FILE_TEST_IS_DIR));
  g_assert_cmpuint (count_files (p->folder, FALSE), ==, 4);
}

static void
cancel (ToyHook hook, gpointer data)
{
  if (hook == TOY_COMPLETE && g_atomic_int_get (&toy.calls[TOY_COMPLETE]) == 2)
    g_cancellable_cancel (data);
}

/* Tests a run that is cancelled in the second file */
static void
test_cancelled (Place *p, gconstpointer data)
{
  g_autoptr (QconvModel) m = toy_open (p->in);
  const QconvJob job = { .target = "half-toy", .output = p->out, .run.split = SMALL };
  g_autoptr (QconvPlan) plan = qconv_plan_new (m, &job, NULL);
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  g_autoptr (GError) error = NULL;

  toy.watch = cancel;
  toy.watch_data = cancellable;
  g_assert_false (qconv_plan_run (plan, NULL, NULL, cancellable, NULL, &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  g_assert_cmpuint (count_files (p->folder, FALSE), ==, 0);
}

typedef struct {
  const Place *place;
  const char *name;
  goffset from_end;
} Damage;

/* Flips a bit of a temporary file when the check opens it */
static void
flip (ToyHook hook, gpointer data)
{
  const Damage *d = data;
  g_autoptr (GDir) dir = hook == TOY_OPEN ? g_dir_open (d->place->folder, 0, NULL) : NULL;
  const char *name;

  while (dir != NULL && (name = g_dir_read_name (dir)) != NULL)
    if (g_str_has_prefix (name, d->name))
      {
        g_autofree char *path = g_build_filename (d->place->folder, name, NULL);
        int fd = g_open (path, O_RDWR | O_CLOEXEC, 0);
        goffset at = lseek (fd, 0, SEEK_END) - d->from_end;
        guint8 byte = 0;

        g_assert_cmpint (pread (fd, &byte, 1, at), ==, 1);
        byte ^= 4;
        g_assert_cmpint (pwrite (fd, &byte, 1, at), ==, 1);
        close (fd);
      }
}

/* Tests that the check reads every file */
static void
test_damage (Place *p, gconstpointer data)
{
  static const char *const names[] = { ".out.0of3.box.", ".out.1of3.box.", ".out.2of3.box.", ".out.box.list." };

  for (guint i = 0; i < G_N_ELEMENTS (names); i++)
    {
      Damage d = { p, names[i], 9 };
      g_autoptr (GError) error = NULL;
      g_autoptr (QconvModel) m = toy_open (p->in);
      const QconvJob job = { .target = "half-toy", .output = p->out, .run.split = SMALL };

      toy_reset ();
      toy.watch = flip;
      toy.watch_data = &d;
      g_assert_false (toy_run (m, &job, NULL, &error));
      g_assert_error (error, QCONV_ERROR, QCONV_ERROR_CHECK);
      g_assert_cmpuint (count_files (p->folder, FALSE), ==, 0);
    }
}

/* ---- Runs that go on ---- */

/* Interrupts a run when the tensors of all files are written */
static void
interrupt (const Place *p)
{
  toy_reset ();
  toy.fail = TOY_COMPLETE;
  toy.code = QCONV_ERROR_LIMIT;
  toy.spare = 1;
  g_assert_false (run (p, &(QconvJob) { .run.split = SMALL, .run.resume = TRUE }, NULL, NULL));
  g_assert_cmpuint (count_files (p->folder, FALSE), ==, 5); /* four files and a journal */
  toy_reset ();
}

/* Goes on. Returns the number of tiles that were encoded */
static gint
resume (const Place *p, const GPtrArray *whole)
{
  g_autoptr (GError) error = NULL;

  run (p, &(QconvJob) { .run.split = SMALL, .run.resume = TRUE }, NULL, &error);
  g_assert_no_error (error);
  g_assert_cmpuint (count_files (p->folder, FALSE), ==, 4);
  for (guint i = 0; i < 4; i++)
    {
      g_autofree char *path = part (p, i);
      g_autoptr (GBytes) file = toy_file (path);

      g_assert_true (g_bytes_equal (file, g_ptr_array_index (whole, i)));
    }
  count_files (p->folder, TRUE);
  return toy.calls[TOY_ENCODE];
}

/* Tests a run that goes on with all files, and with one that is missing or spoilt */
static void
test_resumed (Place *p, gconstpointer data)
{
  g_autoptr (GPtrArray) whole = g_ptr_array_new_with_free_func ((GDestroyNotify) g_bytes_unref);
  g_autofree char *second = g_build_filename (p->folder, ".out.1of3.box.qconv-partial", NULL);
  Damage d = { p, ".out.2of3.box.qconv-partial", 9 };
  gint all, again;

  make_set (p);
  all = toy.calls[TOY_ENCODE];
  for (guint i = 0; i < 4; i++)
    {
      g_autofree char *path = part (p, i);

      g_ptr_array_add (whole, toy_file (path));
    }
  count_files (p->folder, TRUE);
  interrupt (p);
  g_assert_cmpint (resume (p, whole), ==, 0);
  interrupt (p);
  g_assert_cmpint (g_remove (second), ==, 0);
  again = resume (p, whole);
  g_assert_cmpint (again, >, 0);
  g_assert_cmpint (again, <, all);
  interrupt (p);
  flip (TOY_OPEN, &d);
  again = resume (p, whole);
  g_assert_cmpint (again, <, all);
}

static void
add (const char *name, void (*test) (Place *, gconstpointer))
{
  g_autofree char *path = g_strconcat ("/core/several/", name, NULL);

  g_test_add (path, Place, NULL, setup, test, teardown);
}

int
main (int argc, char **argv)
{
  toy_init (&argc, &argv);
  add ("set", test_set);
  add ("same-tensors", test_same_tensors);
  add ("one-part", test_one_part);
  add ("existing", test_existing);
  add ("failures", test_failures);
  add ("taken-back", test_taken_back);
  add ("cancelled", test_cancelled);
  add ("damage", test_damage);
  add ("resumed", test_resumed);
  return g_test_run ();
}
