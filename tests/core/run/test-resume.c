/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tests runs that go on with the work of an interrupted one. An interrupted run is one that fails in its last hook,
   after which the tests shorten the journal and spoil bytes as a kill at an earlier time would have left them. */
#include <fcntl.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "toy.h"

enum { HEAD_LINES = 2 }; /* lines of a journal before the first layer */

/* Place: the files of one test. @kept, @journal: left by an interrupted run; @whole, @report: of a run that was not */
typedef struct {
  char *in, *out, *kept, *journal, *warning;
  GBytes *whole;
  QconvReport *report;
} Place;

/* Keeps a warning about work that is dropped */
static void
take_warning (const char *message, gpointer data)
{
  Place *p = data;

  if (strstr (message, "anew") == NULL)
    return;
  g_free (p->warning);
  p->warning = g_strdup (message);
}

static char *
beside (const char *path, const char *name)
{
  g_autofree char *folder = g_path_get_dirname (path);

  return g_build_filename (folder, name, NULL);
}

/* Runs @job with --resume in @p. @report: (nullable) */
static gboolean
run (Place *p, const QconvJob *job, QconvReport **report, GError **error)
{
  g_autoptr (QconvModel) m = toy_open (p->in);
  QconvJob all = *job;

  all.output = p->out;
  all.run.resume = TRUE;
  all.warn = take_warning;
  all.warn_data = p;
  return toy_run (m, &all, report, error);
}

/* Writes the input. @source: (nullable): the target that it goes through */
static Place
place_new (const char *source)
{
  Place p = { .in = toy_path ("in.box"), .out = toy_path ("out.box") };

  p.kept = beside (p.out, ".out.box.qconv-partial");
  p.journal = beside (p.out, ".out.box.qconv-journal");
  toy_reset ();
  toy_write (p.in, toy_mixed, NULL);
  if (source != NULL)
    {
      g_autofree char *plain = toy_path ("plain.box");

      g_assert_cmpint (g_rename (p.in, plain), ==, 0);
      toy_convert (plain, p.in, &(QconvJob) { .target = source });
      g_unlink (plain);
    }
  return p;
}

static void
place_clear (Place *p)
{
  g_unlink (p->out);
  g_assert_cmpuint (toy_n_files (p->in), ==, 1); /* the input */
  g_free (p->in);
  g_free (p->out);
  g_free (p->kept);
  g_free (p->journal);
  g_free (p->warning);
  g_clear_pointer (&p->whole, g_bytes_unref);
  g_clear_pointer (&p->report, qconv_report_free);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Place, place_clear)

/* Makes the output of @target that an interrupted run must come to */
static void
make_whole (Place *p, const char *target)
{
  g_autoptr (QconvModel) m = toy_open (p->in);
  g_autoptr (GError) error = NULL;

  toy_run (m, &(QconvJob) { .target = target, .output = p->out, .run.n_threads = 1 }, &p->report, &error);
  g_assert_no_error (error);
  p->whole = toy_file (p->out);
  g_unlink (p->out);
}

/* Interrupts a run to @target when all layers are done */
static void
interrupt (Place *p, const char *target)
{
  g_autoptr (GError) error = NULL;

  toy_reset ();
  toy.fail = TOY_COMPLETE;
  toy.code = QCONV_ERROR_LIMIT;
  g_assert_false (run (p, &(QconvJob) { .target = target, .run.n_threads = 3 }, NULL, &error));
  g_assert_error (error, QCONV_ERROR, QCONV_ERROR_LIMIT);
  g_assert_true (g_file_test (p->kept, G_FILE_TEST_IS_REGULAR));
  g_assert_true (g_file_test (p->journal, G_FILE_TEST_IS_REGULAR));
  g_assert_false (g_file_test (p->out, G_FILE_TEST_EXISTS));
  toy_reset ();
}

/* Checks that the next run to @target comes to the same bytes and the same report, and leaves nothing else */
static void
assert_resumes (Place *p, const char *target, guint64 memory, guint n_threads)
{
  g_autoptr (QconvReport) report = NULL;
  g_autoptr (GError) error = NULL;
  g_autoptr (GBytes) got = NULL;

  toy_reset ();
  run (p, &(QconvJob) { .target = target, .run.memory = memory, .run.n_threads = n_threads }, &report, &error);
  g_assert_no_error (error);
  got = toy_file (p->out);
  g_assert_true (g_bytes_equal (got, p->whole));
  g_assert_cmpuint (report->n_checksums, ==, p->report->n_checksums);
  g_assert_cmpuint (report->layers->len, ==, p->report->layers->len);
  for (guint i = 0; i < report->layers->len; i++)
    {
      const QconvLayerError *a = report->layers->pdata[i], *b = p->report->layers->pdata[i];

      g_assert_cmpstr (a->name, ==, b->name);
      g_assert_cmpfloat (a->relmse, ==, b->relmse);
    }
  g_assert_cmpuint (toy_n_files (p->in), ==, 2);
  g_unlink (p->out);
}

/* Leaves the first @n lines of the journal, and a torn one if more follow. Returns the number of lines there were */
static guint
shorten_journal (const Place *p, guint n)
{
  g_autofree char *text = NULL;
  g_auto (GStrv) lines = NULL;
  g_autoptr (GString) left = g_string_new (NULL);
  guint n_lines;

  g_assert_true (g_file_get_contents (p->journal, &text, NULL, NULL));
  lines = g_strsplit (text, "\n", -1);
  n_lines = g_strv_length (lines) - 1;
  for (guint i = 0; i < MIN (n, n_lines); i++)
    g_string_append_printf (left, "%s\n", lines[i]);
  if (n < n_lines)
    g_string_append_len (left, lines[n], (gssize) strlen (lines[n]) / 2);
  g_assert_true (g_file_set_contents (p->journal, left->str, (gssize) left->len, NULL));
  return n_lines;
}

/* Sets all bytes of the temporary file */
static void
fill_kept (const Place *p)
{
  g_autofree char *bytes = NULL;
  gsize n;
  FILE *file;

  g_assert_true (g_file_get_contents (p->kept, &bytes, &n, NULL));
  memset (bytes, 0xee, n);
  file = g_fopen (p->kept, "r+");
  g_assert_cmpuint (fwrite (bytes, 1, n, file), ==, n);
  fclose (file);
}

/* ---- The same bytes ---- */

typedef struct {
  const char *title, *source, *target;
} Path;

static const Path paths[] = {
  { "half", NULL, "half-toy" },
  { "whole", NULL, "whole-toy" },
  { "once", NULL, "once-toy" },
  { "dark", NULL, "dark-toy" },
  { "cast", NULL, "f32-toy" },
  { "copy", NULL, "copy-toy" },
  { "half is moved", "half-toy", "half-toy" },
  { "half to twin", "half-toy", "twin-toy" },
  { "half to floats", "half-toy", "f32-toy" },
  { "half copied verbatim", "half-toy", "copy-toy" },
};

/* Tests what is left after each number of layers, with other threads and memory */
static void
test_same (gconstpointer data)
{
  const Path *k = data;
  g_auto (Place) p = place_new (k->source);
  guint n_lines = HEAD_LINES;

  make_whole (&p, k->target);
  for (guint n = HEAD_LINES; n <= n_lines; n++)
    {
      interrupt (&p, k->target);
      n_lines = shorten_journal (&p, n);
      if (n == HEAD_LINES)
        fill_kept (&p);
      assert_resumes (&p, k->target, n % 2 != 0 ? 1100 << 10 : 0, n % 3 + 1);
      g_assert_cmpstr (p.warning, ==, NULL);
    }
  g_assert_cmpuint (n_lines, >, HEAD_LINES + 2);
}

/* Tests that a layer that is done is not done again */
static void
test_skips (void)
{
  g_auto (Place) p = place_new (NULL);
  gint all;

  make_whole (&p, "half-toy");
  all = toy.calls[TOY_ENCODE];
  interrupt (&p, "half-toy");
  shorten_journal (&p, HEAD_LINES + 2);
  assert_resumes (&p, "half-toy", 0, 1);
  g_assert_cmpint (toy.calls[TOY_ENCODE], >, 0);
  g_assert_cmpint (toy.calls[TOY_ENCODE], <, all);
  interrupt (&p, "half-toy");
  assert_resumes (&p, "half-toy", 0, 1);
  g_assert_cmpint (toy.calls[TOY_ENCODE], ==, 0);
}

/* Tests one flipped bit at a time, in every part of the temporary file */
static void
test_damaged (void)
{
  g_auto (Place) p = place_new (NULL);
  gsize n;

  make_whole (&p, "half-toy");
  n = g_bytes_get_size (p.whole);
  for (gsize at = 5; at < n; at += n / 17)
    {
      int fd;
      guint8 byte;

      interrupt (&p, "half-toy");
      fd = open (p.kept, O_RDWR | O_CLOEXEC);
      g_assert_cmpint (pread (fd, &byte, 1, (off_t) at), ==, 1);
      byte ^= 8;
      g_assert_cmpint (pwrite (fd, &byte, 1, (off_t) at), ==, 1);
      close (fd);
      assert_resumes (&p, "half-toy", 0, 2);
    }
}

/* Tests that a plan can be run again, after it was interrupted and checked */
static void
test_plan_again (void)
{
  g_auto (Place) p = place_new (NULL);
  g_autoptr (QconvModel) m = toy_open (p.in);
  g_autoptr (QconvPlan) plan = NULL;
  g_autoptr (GError) error = NULL, second = NULL;
  g_autoptr (GBytes) got = NULL;

  make_whole (&p, "half-toy");
  plan = qconv_plan_new (
      m,
      &(QconvJob) { .target = "half-toy", .output = p.out, .run.resume = TRUE, .warn = take_warning, .warn_data = &p },
      &error);
  g_assert_no_error (error);
  toy_reset ();
  toy.fail = TOY_DECODE; /* of the check */
  toy.code = QCONV_ERROR_LIMIT;
  g_assert_false (qconv_plan_run (plan, NULL, NULL, NULL, NULL, &error));
  toy_reset ();
  g_assert_true (qconv_plan_run (plan, NULL, NULL, NULL, NULL, &second));
  g_assert_cmpint (toy.calls[TOY_ENCODE], ==, 0);
  g_assert_cmpstr (p.warning, ==, NULL);
  got = toy_file (p.out);
  g_assert_true (g_bytes_equal (got, p.whole));
}

/* ---- Another plan ---- */

/* Tests that the work of another plan is done anew, and that the warning matches @reason */
static void
assert_anew (Place *p, const char *target, const char *reason)
{
  assert_resumes (p, target, 0, 2);
  g_assert_nonnull (p->warning);
  if (!g_pattern_match_simple (reason, p->warning))
    g_error ("\"%s\" does not match \"%s\"", p->warning, reason);
  g_clear_pointer (&p->warning, g_free);
  g_clear_pointer (&p->whole, g_bytes_unref);
  g_clear_pointer (&p->report, qconv_report_free);
}

static void
test_other_plan (void)
{
  g_auto (Place) p = place_new (NULL);

  interrupt (&p, "half8-toy");
  make_whole (&p, "half-toy");
  g_assert_true (g_file_test (p.kept, G_FILE_TEST_EXISTS)); /* a run without --resume leaves it alone */
  assert_anew (&p, "half-toy", "*out.box: *anew: the options or the output differ");
}

static void
test_other_input (void)
{
  g_auto (Place) p = place_new (NULL);

  interrupt (&p, "half-toy");
  toy_write (p.in, toy_mixed, (const char *const[]) { "note=1", NULL });
  make_whole (&p, "half-toy");
  assert_anew (&p, "half-toy", "*anew: an input has changed");
  interrupt (&p, "half-toy");
  toy_write (p.in, toy_mixed, (const char *const[]) { "note=1", NULL }); /* the same bytes, written at another time */
  make_whole (&p, "half-toy");
  assert_anew (&p, "half-toy", "*anew: an input has changed");
}

static void
test_damaged_journal (void)
{
  g_auto (Place) p = place_new (NULL);

  interrupt (&p, "half-toy");
  shorten_journal (&p, HEAD_LINES - 1);
  make_whole (&p, "half-toy");
  assert_anew (&p, "half-toy", "*anew: the journal is damaged");
}

/* ---- Files of others ---- */

static void
assert_refused (Place *p, GQuark domain, gint code, const char *text)
{
  g_autoptr (GError) error = NULL;

  g_assert_false (run (p, &(QconvJob) { .target = "half-toy" }, NULL, &error));
  g_assert_error (error, domain, code);
  if (!g_pattern_match_simple (text, error->message))
    g_error ("\"%s\" does not match \"%s\"", error->message, text);
}

static void
assert_text (const char *path, const char *want)
{
  g_autofree char *text = NULL;

  g_assert_true (g_file_get_contents (path, &text, NULL, NULL));
  g_assert_cmpstr (text, ==, want);
}

/* Tests names that are taken by something that qconv did not leave: it is neither followed nor changed */
static void
test_foreign (void)
{
  g_auto (Place) p = place_new (NULL);
  g_autofree char *mine = toy_path ("mine");
  const char *names[] = { p.kept, p.journal };

  toy_write_text (mine, "precious");
  for (guint i = 0; i < G_N_ELEMENTS (names); i++)
    {
      g_assert_cmpint (symlink (mine, names[i]), ==, 0);
      assert_refused (&p, QCONV_ERROR, QCONV_ERROR_OPTION, "*is not a file that qconv left*");
      g_unlink (names[i]);
      g_assert_cmpint (link (mine, names[i]), ==, 0);
      assert_refused (&p, QCONV_ERROR, QCONV_ERROR_OPTION, "*is not a file that qconv left*");
      g_unlink (names[i]);
      g_assert_cmpint (g_mkdir (names[i], 0777), ==, 0);
      assert_refused (&p, QCONV_ERROR, QCONV_ERROR_OPTION, "*is not a file that qconv left*");
      g_rmdir (names[i]);
      toy_write_text (names[i], "precious");
      assert_refused (&p, QCONV_ERROR, QCONV_ERROR_OPTION, i == 0 ? "*no journal*" : "*is not a journal*");
      assert_text (names[i], "precious");
      g_unlink (names[i]);
      g_assert_cmpuint (toy_n_files (p.in), ==, 2);
    }
  assert_text (mine, "precious");
  g_unlink (mine);
}

static void
test_busy (void)
{
  g_auto (Place) p = place_new (NULL);
  int fd;

  make_whole (&p, "half-toy");
  interrupt (&p, "half-toy");
  fd = open (p.kept, O_RDWR | O_CLOEXEC);
  g_assert_cmpint (flock (fd, LOCK_EX | LOCK_NB), ==, 0);
  assert_refused (&p, G_IO_ERROR, G_IO_ERROR_BUSY, "*out.box: another run with --resume writes it");
  close (fd);
  assert_resumes (&p, "half-toy", 0, 1);
}

/* Tests that nothing stays after an error that the next run would meet, too */
static void
test_in_vain (void)
{
  g_auto (Place) p = place_new (NULL);
  g_autoptr (GError) error = NULL;

  toy.fail = TOY_ENCODE;
  toy.spare = 2;
  toy.code = QCONV_ERROR_INPUT;
  g_assert_false (run (&p, &(QconvJob) { .target = "half-toy" }, NULL, &error));
  g_assert_error (error, QCONV_ERROR, QCONV_ERROR_INPUT);
  g_assert_cmpuint (toy_n_files (p.in), ==, 1);
}

/* Tests that a program which ends at once keeps what can be resumed. Must be the last test: nothing can be saved after
   it */
static void
test_abandoned (void)
{
  g_auto (Place) p = place_new (NULL);

  interrupt (&p, "half-toy");
  qconv_abandon_outputs ();
  g_assert_true (g_file_test (p.kept, G_FILE_TEST_EXISTS));
  assert_refused (&p, G_IO_ERROR, G_IO_ERROR_CANCELLED, "*the program ends");
  g_assert_false (g_file_test (p.out, G_FILE_TEST_EXISTS));
  g_unlink (p.kept);
  g_unlink (p.journal);
}

int
main (int argc, char **argv)
{
  toy_init (&argc, &argv);
  for (guint i = 0; i < G_N_ELEMENTS (paths); i++)
    {
      g_autofree char *path = g_strconcat ("/core/resume/same/", paths[i].title, NULL);

      g_test_add_data_func (path, &paths[i], test_same);
    }
  g_test_add_func ("/core/resume/skips", test_skips);
  g_test_add_func ("/core/resume/damaged", test_damaged);
  g_test_add_func ("/core/resume/plan again", test_plan_again);
  g_test_add_func ("/core/resume/other plan", test_other_plan);
  g_test_add_func ("/core/resume/other input", test_other_input);
  g_test_add_func ("/core/resume/damaged journal", test_damaged_journal);
  g_test_add_func ("/core/resume/foreign", test_foreign);
  g_test_add_func ("/core/resume/busy", test_busy);
  g_test_add_func ("/core/resume/in vain", test_in_vain);
  g_test_add_func ("/core/resume/end/abandoned", test_abandoned);
  return g_test_run ();
}
