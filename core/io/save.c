/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Writes files beside their destinations and renames them when all are complete. The run calls it. */
#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/checksum.h"
#include "base/error.h"
#include "io/descriptor.h"
#include "io/save-private.h"
#include "qconv.h"

#define SUFFIX ".qconv-part"
/* Files of runs that can be resumed: other runs do not remove them */
#define KEPT "qconv-partial"
#define JOURNAL "qconv-journal"
/* Bytes of the name of the destination that the temporary name repeats: most file systems allow names of 255 */
enum { MOST_OF_NAME = 200 };

/* The temporary files of all saves of this process, and the folders that were made for them. After
   qconv_abandon_outputs() no file is created or renamed */
static struct {
  GMutex lock;
  GPtrArray *paths, *folders;
  gboolean abandoned;
} unfinished;

/* Removes a temporary file if nobody holds its lock: the run that owned it was killed */
static void
remove_if_abandoned (const char *path)
{
  int fd = open (path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);

  if (fd < 0)
    return;
  if (flock (fd, LOCK_EX | LOCK_NB) == 0)
    g_unlink (path);
  close (fd);
}

/* Returns: (transfer full): the start of the temporary names for a destination called @base. Names that share it do no
   harm, because every run locks its file */
static char *
temporary_start (const char *base)
{
  gsize n = strlen (base);

  if (n > MOST_OF_NAME)
    for (n = MOST_OF_NAME; n > 0 && ((guchar) base[n] & 0xc0) == 0x80;) /* inside a character of UTF-8 */
      n--;
  return g_strdup_printf (".%.*s.", (int) n, base);
}

/* Returns: (transfer full): a new path of a temporary file for the destination @base in @folder */
static char *
temporary_path (const char *folder, const char *base)
{
  g_autofree char *start = temporary_start (base);
  g_autofree char *name = g_strdup_printf ("%s%d-%08x" SUFFIX, start, (int) getpid (), g_random_int ());

  return g_build_filename (folder, name, NULL);
}

static void
remove_leftovers (const char *folder, const char *base)
{
  g_autofree char *prefix = temporary_start (base);
  g_autoptr (GDir) dir = g_dir_open (folder, 0, NULL);
  const char *name;

  while (dir != NULL && (name = g_dir_read_name (dir)) != NULL)
    if (g_str_has_prefix (name, prefix) && g_str_has_suffix (name, SUFFIX))
      {
        g_autofree char *path = g_build_filename (folder, name, NULL);

        remove_if_abandoned (path);
      }
}

static gboolean
check_room (const char *folder, guint64 size, GError **error)
{
  struct statvfs fs;
  guint64 room;

  if (statvfs (folder, &fs) != 0)
    return qconv_fail_by_errno (error, errno, folder);
  room = (guint64) fs.f_bavail * fs.f_frsize;
  if (room >= size)
    return TRUE;
  return qconv_fail (error, QCONV_ERROR_LIMIT,
                     "%s: the output needs %" G_GUINT64_FORMAT " bytes, the disk has %" G_GUINT64_FORMAT " left",
                     folder, size, room);
}

/* Fails unless files can be created in @folder */
static gboolean
check_folder (const char *folder, GError **error)
{
  g_autofree char *inside = g_build_filename (folder, ".", NULL);

  if (access (inside, W_OK | X_OK) == 0)
    return TRUE;
  if (errno != ENOENT)
    return qconv_fail_by_errno (error, errno, folder);
  g_set_error (error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND, "%s: there is no such folder: make it first", folder);
  return FALSE;
}

gboolean
qconv_save_check (const char *path, guint64 size, GError **error)
{
  g_autofree char *folder = g_path_get_dirname (path);

  return check_folder (folder, error) && check_room (folder, size, error)
         && (access (path, F_OK) != 0 || access (path, W_OK) == 0 || qconv_fail_by_errno (error, errno, path));
}

/* Gives the new file the mode and, if the system allows it, the owner of the file that it will replace */
static gboolean
follow_replaced (const Save *s, GError **error)
{
  struct stat st;

  if (stat (s->path, &st) != 0)
    return TRUE;
  if (fchown (s->fd, st.st_uid, st.st_gid) != 0 && fchown (s->fd, (uid_t) -1, st.st_gid) != 0)
    st.st_mode &= ~(mode_t) (S_IRWXG | S_ISUID | S_ISGID);
  return fchmod (s->fd, st.st_mode & 07777) == 0 || qconv_fail_by_errno (error, errno, s->path);
}

/* Returns whether the file is locked. Between open and lock another run's cleanup may unlink the file; st_nlink is
   then 0 and the caller tries again. A file system without locks counts as locked: no run removes files there */
static gboolean
lock_file (int fd)
{
  struct stat st;

  return (flock (fd, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK) && fstat (fd, &st) == 0 && st.st_nlink > 0;
}

static gboolean
fail_abandoned (const Save *s, GError **error)
{
  g_set_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED, "%s: the program ends", s->path);
  return FALSE;
}

static gboolean
create_locked (Save *s, const char *folder, const char *base, GError **error)
{
  g_autoptr (GMutexLocker) G_GNUC_UNUSED locker = g_mutex_locker_new (&unfinished.lock);

  if (unfinished.abandoned)
    return fail_abandoned (s, error);
  if (unfinished.paths == NULL)
    unfinished.paths = g_ptr_array_new ();
  for (guint i = 0; i < 8; i++)
    {
      g_autofree char *path = temporary_path (folder, base);

      s->fd = open (path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
      if (s->fd < 0)
        return qconv_fail_by_errno (error, errno, path);
      if (lock_file (s->fd))
        {
          s->temporary = g_steal_pointer (&path);
          g_ptr_array_add (unfinished.paths, s->temporary);
          return TRUE;
        }
      g_unlink (path);
      close (s->fd);
      s->fd = -1;
    }
  return qconv_fail (error, QCONV_ERROR_LIMIT, "%s: other runs keep removing the temporary file", folder);
}

Save *
qconv_save_new (const char *path, guint64 size, GError **error)
{
  g_autoptr (Save) s = g_new0 (Save, 1);
  g_autofree char *folder = g_path_get_dirname (path), *base = g_path_get_basename (path);

  s->fd = -1;
  s->size = size;
  s->path = g_strdup (path);
  remove_leftovers (folder, base);
  if (!qconv_save_check (path, size, error) || !create_locked (s, folder, base, error))
    return NULL;
  return follow_replaced (s, error) && qconv_save_allocate (s, error) ? g_steal_pointer (&s) : NULL;
}

/* ---- Files that stay for the next run ---- */

/* Returns: (transfer full): the path of the file of a kind that belongs to the destination @path. Unlike the names of
   other temporary files it must be the same in every run, and differ for two destinations */
static char *
kept_path (const char *path, const char *kind)
{
  g_autofree char *folder = g_path_get_dirname (path), *base = g_path_get_basename (path);
  g_autofree char *start = temporary_start (base), *name = NULL;

  if (strlen (base) <= MOST_OF_NAME)
    name = g_strconcat (start, kind, NULL);
  else
    name = g_strdup_printf ("%s%08x.%s", start, qconv_checksum_continue (0, base, strlen (base)), kind);
  return g_build_filename (folder, name, NULL);
}

char *
qconv_save_journal_path (const char *path)
{
  return kept_path (path, JOURNAL);
}

guint64
qconv_save_kept_bytes (const char *path)
{
  g_autofree char *kept = kept_path (path, KEPT);
  struct stat st;

  return lstat (kept, &st) == 0 && S_ISREG (st.st_mode) ? (guint64) st.st_blocks * 512 : 0;
}

/* Opens and locks the file at s->temporary. Closes it again if it is no longer there: its run has given it its name */
static gboolean
open_locked (Save *s, struct stat *opened, GError **error)
{
  struct stat named;

  s->fd = qconv_descriptor_open_own (s->temporary, error);
  if (s->fd < 0)
    return FALSE;
  if (flock (s->fd, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK)
    {
      g_set_error (error, G_IO_ERROR, G_IO_ERROR_BUSY, "%s: another run with --resume writes it", s->path);
      return FALSE;
    }
  if (fstat (s->fd, opened) == 0 && lstat (s->temporary, &named) == 0 && named.st_ino == opened->st_ino
      && named.st_dev == opened->st_dev)
    return TRUE;
  close (s->fd);
  s->fd = -1;
  return TRUE;
}

Save *
qconv_save_open_kept (const char *path, guint64 size, gboolean *found, GError **error)
{
  g_autoptr (Save) s = g_new0 (Save, 1);
  g_autofree char *folder = g_path_get_dirname (path), *base = g_path_get_basename (path);
  struct stat st;

  s->fd = -1;
  s->size = size;
  s->path = g_strdup (path);
  s->kept = TRUE;
  remove_leftovers (folder, base);
  if (!check_folder (folder, error))
    return NULL;
  s->temporary = kept_path (path, KEPT);
  for (guint i = 0; i < 8 && s->fd < 0; i++)
    if (!open_locked (s, &st, error))
      return NULL;
  if (s->fd < 0)
    {
      qconv_fail (error, QCONV_ERROR_LIMIT, "%s: other runs keep removing the temporary file", folder);
      return NULL;
    }
  *found = st.st_size > 0;
  s->kept = *found;
  return g_steal_pointer (&s);
}

gboolean
qconv_save_empty (Save *s, GError **error)
{
  s->kept = FALSE;
  return ftruncate (s->fd, 0) == 0 || qconv_fail_by_errno (error, errno, s->temporary);
}

gboolean
qconv_save_keep (Save *s, GError **error)
{
  if (!qconv_save_check (s->path, s->size - MIN (s->size, qconv_save_kept_bytes (s->path)), error)
      || !follow_replaced (s, error) || !qconv_save_allocate (s, error))
    return FALSE;
  s->kept = TRUE;
  return TRUE;
}

void
qconv_save_drop (Save *s)
{
  s->kept = FALSE;
}

/* ---- Ends ---- */

void
qconv_abandon_outputs (void)
{
  g_autoptr (GMutexLocker) G_GNUC_UNUSED locker = g_mutex_locker_new (&unfinished.lock);

  unfinished.abandoned = TRUE;
  for (guint i = 0; unfinished.paths != NULL && i < unfinished.paths->len; i++)
    g_unlink (g_ptr_array_index (unfinished.paths, i));
  for (guint i = 0; unfinished.folders != NULL && i < unfinished.folders->len; i++)
    g_rmdir (g_ptr_array_index (unfinished.folders, i));
}

/* Kept files were never among those that qconv_abandon_outputs() removes. The caller holds the lock */
static void
forget_temporary (const Save *s)
{
  if (unfinished.paths != NULL)
    g_ptr_array_remove_fast (unfinished.paths, s->temporary);
}

static void
remove_temporary (Save *s)
{
  g_autoptr (GMutexLocker) G_GNUC_UNUSED locker = g_mutex_locker_new (&unfinished.lock);

  g_unlink (s->temporary);
  forget_temporary (s);
}

void
qconv_save_free (Save *s)
{
  if (s->temporary != NULL && !s->kept)
    remove_temporary (s);
  if (s->fd >= 0)
    close (s->fd);
  g_free (s->aside);
  g_free (s->temporary);
  g_free (s->path);
  g_free (s);
}

const char *
qconv_save_temporary (const Save *s)
{
  return s->temporary;
}

static void
sync_folder (const char *path)
{
  g_autofree char *folder = g_path_get_dirname (path);
  int fd = open (folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

  if (fd < 0)
    return;
  fsync (fd); /* some file systems refuse this; the file itself is safe */
  close (fd);
}

/* ---- Names ---- */

/* Gives the file that @s will replace a second name, so that take_back() can bring it back */
static void
put_aside (Save *s)
{
  g_autofree char *folder = g_path_get_dirname (s->path), *base = g_path_get_basename (s->path);
  g_autofree char *path = temporary_path (folder, base);
  struct stat st;

  s->replaces = lstat (s->path, &st) == 0;
  if (s->replaces && link (s->path, path) == 0)
    s->aside = g_steal_pointer (&path);
}

static void
forget_aside (Save *s)
{
  if (s->aside != NULL)
    g_unlink (s->aside);
  g_clear_pointer (&s->aside, g_free);
}

/* Renames the temporary file. @undo: take_back() may have to undo it */
static gboolean
give_name (Save *s, gboolean replace, gboolean undo, GError **error)
{
  /* A file that appeared meanwhile belongs to somebody else */
  if (!replace && link (s->temporary, s->path) == 0)
    {
      g_unlink (s->temporary);
      return TRUE;
    }
  if (!replace && errno == EEXIST)
    return qconv_fail (error, QCONV_ERROR_OPTION, "%s: appeared meanwhile; --force overwrites it", s->path);
  if (undo)
    put_aside (s);
  if (g_rename (s->temporary, s->path) == 0)
    return TRUE;
  qconv_fail_by_errno (error, errno, s->path);
  forget_aside (s);
  return FALSE;
}

/* Undoes give_name(). On a file system without second names, a file that was replaced is lost, so the new one stays */
static void
take_back (Save *s)
{
  if (s->aside != NULL && link (s->path, s->temporary) == 0 && g_rename (s->aside, s->path) == 0)
    g_clear_pointer (&s->aside, g_free);
  else if (!s->replaces)
    g_rename (s->path, s->temporary);
}

/* Renames all temporary files or none, unless the program ends */
static gboolean
give_names (Save *const *saves, guint n, gboolean replace, GError **error)
{
  g_autoptr (GMutexLocker) G_GNUC_UNUSED locker = g_mutex_locker_new (&unfinished.lock);
  guint done = 0;

  if (unfinished.abandoned)
    return fail_abandoned (saves[0], error);
  while (done < n && give_name (saves[done], replace, n > 1, error))
    done++;
  if (done < n)
    {
      while (done-- > 0)
        take_back (saves[done]);
      return FALSE;
    }
  for (guint i = 0; i < n; i++)
    {
      forget_aside (saves[i]);
      forget_temporary (saves[i]);
    }
  return TRUE;
}

gboolean
qconv_save_commit (Save *const *saves, guint n, gboolean replace, GError **error)
{
  if (!give_names (saves, n, replace, error))
    return FALSE;
  for (guint i = 0; i < n; i++)
    {
      g_clear_pointer (&saves[i]->temporary, g_free);
      sync_folder (saves[i]->path);
    }
  return TRUE;
}

/* ---- Folders ---- */

/* @made: (nullable): the path, if it was made */
struct _SaveFolder {
  char *made;
};

SaveFolder *
qconv_save_folder_new (const char *path, GError **error)
{
  g_autoptr (GMutexLocker) G_GNUC_UNUSED locker = g_mutex_locker_new (&unfinished.lock);
  SaveFolder *f = g_new0 (SaveFolder, 1);

  if (unfinished.folders == NULL)
    unfinished.folders = g_ptr_array_new ();
  if (!unfinished.abandoned && g_mkdir (path, 0777) == 0)
    {
      f->made = g_strdup (path);
      g_ptr_array_add (unfinished.folders, f->made);
      return f;
    }
  if (unfinished.abandoned || errno == EEXIST)
    return f;
  qconv_fail_by_errno (error, errno, path);
  g_free (f);
  return NULL;
}

void
qconv_save_folder_free (SaveFolder *f)
{
  g_autoptr (GMutexLocker) G_GNUC_UNUSED locker = g_mutex_locker_new (&unfinished.lock);

  if (f->made != NULL)
    {
      g_ptr_array_remove_fast (unfinished.folders, f->made);
      g_rmdir (f->made); /* fails if the output is in it */
      g_free (f->made);
    }
  g_free (f);
}
