/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A module for LD_PRELOAD that stands between qconv and the disk, and spoils one access to the file that is being
   written. shim.py starts qconv with it:

   QCONV_SHIM=KIND,N  the Nth write (or read) of the file is spoilt, counted from 0
   QCONV_SHIM_LOG     file that gets two numbers at the end: accesses of the kind, and whether one of them was spoilt

   Kinds: "flip" one bit, "zero" the bytes, "lost" nothing is written, "torn" only the first half is, and all four
   claim success; "read" the read fails with EIO; "short" all writes and reads do half of what they are asked for, and
   say so; "kill" the first half is written, then SIGKILL ends the program; "stop" SIGSTOP stops the program before
   this write, and every later one takes a while, so that a signal comes in time; all are right */
#undef _FILE_OFFSET_BITS /* which would make one name of pwrite and pwrite64 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SUFFIX ".qconv-part"
#define KEPT ".qconv-partial" /* with --resume */

static atomic_int n_accesses, spoilt;

/* Returns 1 if the access is the one to spoil, 2 for those behind it, else 0. Every access counts if it is of the
   chosen kind */
static int
place_of_access (const char *kind)
{
  const char *fault = getenv ("QCONV_SHIM");
  size_t n = strlen (kind);
  int access, chosen;

  if (fault == NULL || strncmp (fault, kind, n) != 0 || fault[n] != ',')
    return 0;
  access = atomic_fetch_add (&n_accesses, 1);
  chosen = atoi (fault + n + 1);
  return access == chosen ? 1 : 2 * (access > chosen);
}

static int
is_chosen (const char *kind)
{
  return place_of_access (kind) == 1;
}

static int
is_short (void)
{
  const char *fault = getenv ("QCONV_SHIM");

  return fault != NULL && strncmp (fault, "short,", 6) == 0;
}

static int
ends_in (const char *text, const char *end)
{
  size_t n = strlen (text), n_end = strlen (end);

  return n > n_end && strcmp (text + n - n_end, end) == 0;
}

static int
is_output (int fd)
{
  char link[64], path[4096];
  ssize_t n;

  snprintf (link, sizeof link, "/proc/self/fd/%d", fd);
  n = readlink (link, path, sizeof path - 1);
  path[n > 0 ? n : 0] = '\0';
  return ends_in (path, SUFFIX) || ends_in (path, KEPT);
}

/* Notes that a fault which leaves @n bytes of @bytes unwritten changes the file, whose space is zero before */
static void
note_loss (const char *bytes, size_t n)
{
  for (size_t i = 0; i < n; i++)
    if (bytes[i] != 0)
      atomic_store (&spoilt, 1);
}

typedef ssize_t (*Write) (int fd, const void *bytes, size_t n, off_t offset);
typedef ssize_t (*Read) (int fd, void *bytes, size_t n, off_t offset);

static Write
next_write (void)
{
  static Write next;

  if (next == NULL)
    next = (Write) dlsym (RTLD_NEXT, "pwrite");
  return next;
}

/* Writes other bytes than it is given, or fewer, and claims success */
static ssize_t
write_spoilt (int fd, const char *bytes, size_t n, off_t offset)
{
  char *copy;
  int stop;

  if (is_chosen ("lost"))
    {
      note_loss (bytes, n);
      return (ssize_t) n;
    }
  if (is_chosen ("torn"))
    {
      note_loss (bytes + n / 2, n - n / 2);
      return next_write () (fd, bytes, n / 2, offset) < 0 ? -1 : (ssize_t) n;
    }
  if (is_chosen ("kill"))
    {
      next_write () (fd, bytes, n / 2, offset);
      raise (SIGKILL);
    }
  stop = place_of_access ("stop");
  if (stop == 1)
    raise (SIGSTOP);
  else if (stop == 2)
    usleep (20000);
  copy = malloc (n + 1);
  memcpy (copy, bytes, n);
  if (is_chosen ("flip") && n > 0)
    {
      copy[n / 2] ^= 1;
      atomic_store (&spoilt, 1);
    }
  if (is_chosen ("zero"))
    {
      note_loss (bytes, n);
      memset (copy, 0, n);
    }
  n = (size_t) next_write () (fd, copy, n, offset);
  free (copy);
  return (ssize_t) n;
}

static ssize_t
shim_write (int fd, const void *bytes, size_t n, off_t offset)
{
  if (!is_output (fd))
    return next_write () (fd, bytes, n, offset);
  return is_short () ? next_write () (fd, bytes, (n + 1) / 2, offset) : write_spoilt (fd, bytes, n, offset);
}

static ssize_t
shim_read (int fd, void *bytes, size_t n, off_t offset)
{
  static Read next;

  if (next == NULL)
    next = (Read) dlsym (RTLD_NEXT, "pread");
  if (is_output (fd) && is_chosen ("read"))
    {
      atomic_store (&spoilt, 1);
      errno = EIO;
      return -1;
    }
  return next (fd, bytes, is_output (fd) && is_short () ? (n + 1) / 2 : n, offset);
}

/* Programs with large files call the names with 64 where there are two */
#define EXPORT __attribute__ ((visibility ("default")))
EXPORT ssize_t pwrite (int fd, const void *bytes, size_t n, off_t offset);
EXPORT ssize_t pread (int fd, void *bytes, size_t n, off_t offset);
EXPORT ssize_t pwrite64 (int fd, const void *bytes, size_t n, off_t offset);
EXPORT ssize_t pread64 (int fd, void *bytes, size_t n, off_t offset);
EXPORT ssize_t copy_file_range (int from, off_t *in, int to, off_t *out, size_t n, unsigned flags);

ssize_t
pwrite (int fd, const void *bytes, size_t n, off_t offset)
{
  return shim_write (fd, bytes, n, offset);
}

ssize_t
pwrite64 (int fd, const void *bytes, size_t n, off_t offset)
{
  return shim_write (fd, bytes, n, offset);
}

ssize_t
pread (int fd, void *bytes, size_t n, off_t offset)
{
  return shim_read (fd, bytes, n, offset);
}

ssize_t
pread64 (int fd, void *bytes, size_t n, off_t offset)
{
  return shim_read (fd, bytes, n, offset);
}

/* Copies through write_spoilt(), so that copies have the same faults as writes */
ssize_t
copy_file_range (int from, off_t *in, int to, off_t *out, size_t n, unsigned flags)
{
  char bytes[65536];
  ssize_t got = shim_read (from, bytes, n < sizeof bytes ? n : sizeof bytes, *in);

  (void) flags;
  if (got > 0)
    got = shim_write (to, bytes, (size_t) got, *out);
  if (got > 0)
    {
      *in += got;
      *out += got;
    }
  return got;
}

static void __attribute__ ((destructor)) report (void)
{
  const char *path = getenv ("QCONV_SHIM_LOG");
  FILE *log = path != NULL ? fopen (path, "w") : NULL;

  if (log == NULL)
    return;
  fprintf (log, "%d %d\n", atomic_load (&n_accesses), atomic_load (&spoilt));
  fclose (log);
}
