/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Reads and appends the lines of a journal. The file begins with a line of its own; every other line ends in a space
   and the CRC-32 of the text before it, in eight digits. */
#include "io/journal.h"

#include <errno.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/checksum.h"
#include "base/error.h"
#include "io/descriptor.h"

#define MAGIC "qconv-journal 1\n"
enum {
  MAGIC_LENGTH = sizeof MAGIC - 1,
  CRC_LENGTH = 9,      /* " 0123abcd" */
  MOST_BYTES = 1 << 26 /* of a journal that is read: a line of a layer has about 40 */
};

struct _Journal {
  char *path;
  int fd;
  GMutex lock;
  gsize end;    /* bytes of whole lines */
  char **lines; /* (nullable) */
};

/* Returns: (transfer full) (nullable): @line without its checksum; NULL if the checksum is another */
static char *
checked_line (const char *line, gsize n)
{
  g_autofree char *text = n > CRC_LENGTH ? g_strndup (line, n - CRC_LENGTH) : NULL;
  g_autofree char *stated = text != NULL ? g_strndup (line + n - CRC_LENGTH, CRC_LENGTH) : NULL;
  g_autofree char *found = NULL;

  if (text == NULL)
    return NULL;
  found = g_strdup_printf (" %08x", qconv_checksum_continue (0, text, strlen (text)));
  return strcmp (stated, found) == 0 ? g_steal_pointer (&text) : NULL;
}

/* Takes the whole lines of @text, @n bytes */
static void
take_lines (Journal *j, const char *text, gsize n)
{
  g_autoptr (GPtrArray) lines = g_ptr_array_new ();
  const char *newline;

  j->end = MAGIC_LENGTH;
  while ((newline = memchr (text + j->end, '\n', n - j->end)) != NULL)
    {
      char *line = checked_line (text + j->end, (gsize) (newline - text) - j->end);

      if (line == NULL)
        break;
      g_ptr_array_add (lines, line);
      j->end = (gsize) (newline - text) + 1;
    }
  g_ptr_array_add (lines, NULL);
  j->lines = (char **) g_ptr_array_free (g_steal_pointer (&lines), FALSE);
}

static gboolean
read_lines (Journal *j, GError **error)
{
  g_autofree char *text = NULL;
  struct stat st;
  gsize n;

  if (fstat (j->fd, &st) != 0)
    return qconv_fail_by_errno (error, errno, j->path);
  n = (gsize) CLAMP (st.st_size, 0, MOST_BYTES + 1);
  text = g_malloc (n + 1);
  if (!qconv_descriptor_read (j->fd, j->path, 0, text, n, error))
    return FALSE;
  if (n > MOST_BYTES || memcmp (text, MAGIC, MIN (n, MAGIC_LENGTH)) != 0)
    return qconv_fail (error, QCONV_ERROR_OPTION, "%s: is not a journal of qconv: move it away", j->path);
  if (n < MAGIC_LENGTH)
    return TRUE;
  take_lines (j, text, n);
  return ftruncate (j->fd, (off_t) j->end) == 0 || qconv_fail_by_errno (error, errno, j->path);
}

Journal *
qconv_journal_open (const char *path, GError **error)
{
  g_autoptr (Journal) j = g_new0 (Journal, 1);

  g_mutex_init (&j->lock);
  j->path = g_strdup (path);
  j->fd = qconv_descriptor_open_own (path, error);
  return j->fd >= 0 && read_lines (j, error) ? g_steal_pointer (&j) : NULL;
}

void
qconv_journal_free (Journal *j)
{
  if (j->fd >= 0)
    close (j->fd);
  g_mutex_clear (&j->lock);
  g_strfreev (j->lines);
  g_free (j->path);
  g_free (j);
}

const char *const *
qconv_journal_lines (const Journal *j)
{
  return (const char *const *) j->lines;
}

/* Writes @n bytes behind the last line. The caller holds the lock if other threads may write */
static gboolean
write_end (Journal *j, const char *text, gsize n, GError **error)
{
  if (!qconv_descriptor_write (j->fd, j->path, j->end, text, n, error))
    return FALSE;
  j->end += n;
  return TRUE;
}

gboolean
qconv_journal_append (Journal *j, const char *line, GError **error)
{
  g_autofree char *text = g_strdup_printf ("%s %08x\n", line, qconv_checksum_continue (0, line, strlen (line)));
  gboolean ok;

  g_mutex_lock (&j->lock);
  ok = write_end (j, text, strlen (text), error);
  g_mutex_unlock (&j->lock);
  return ok;
}

gboolean
qconv_journal_start (Journal *j, const char *line, GError **error)
{
  g_clear_pointer (&j->lines, g_strfreev);
  j->end = 0;
  if (ftruncate (j->fd, 0) != 0)
    return qconv_fail_by_errno (error, errno, j->path);
  return write_end (j, MAGIC, MAGIC_LENGTH, error) && qconv_journal_append (j, line, error)
         && (fsync (j->fd) == 0 || qconv_fail_by_errno (error, errno, j->path));
}

void
qconv_journal_remove (Journal *j)
{
  g_unlink (j->path);
}
