/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Reads files whole that must be small, so that a wrong path costs neither memory nor an endless wait. Everything that
   reads JSON of users calls it. */
#include "base/small-file.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"

/* Returns the bytes of an open file, at most @n of them, and sets @n to their number. (transfer full) */
static char *
read_all (int fd, const char *path, gsize *n, GError **error)
{
  g_autofree char *text = g_malloc (*n + 1);
  gsize done = 0;

  while (done < *n)
    {
      gssize got = read (fd, text + done, *n - done);

      if (got == 0)
        break;
      if (got < 0 && errno != EINTR)
        {
          qconv_fail_by_errno (error, errno, path);
          return NULL;
        }
      done += got > 0 ? (gsize) got : 0;
    }
  text[done] = '\0';
  *n = done;
  return g_steal_pointer (&text);
}

char *
qconv_small_file_read (const char *path, guint64 most, gsize *n, GError **error)
{
  /* A FIFO that nobody writes to must not block */
  int fd = open (path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  char *text = NULL;
  struct stat st;

  if (fd < 0 || fstat (fd, &st) != 0)
    qconv_fail_by_errno (error, errno, path);
  else if (!S_ISREG (st.st_mode))
    g_set_error (error, G_IO_ERROR, G_IO_ERROR_NOT_REGULAR_FILE, "%s: not a regular file", path);
  else if ((guint64) st.st_size > most)
    qconv_fail (error, QCONV_ERROR_INPUT,
                "%" G_GINT64_FORMAT " bytes are too many for such a file; at most %" G_GUINT64_FORMAT " are read",
                (gint64) st.st_size, most);
  else
    {
      *n = (gsize) st.st_size;
      text = read_all (fd, path, n, error);
    }
  if (fd >= 0)
    close (fd);
  return text;
}
