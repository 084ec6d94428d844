/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Says what a file is that no container recognises, and what to do. The search for a container calls it. */
#include "graph/not-model.h"

#include <string.h>

#include "base/error.h"
#include "base/names.h"

/* ---- Names ---- */

/* Returns: (nullable): what follows the suffix of a container in @name: ".part1of2" in "m.safetensors.part1of2"; NULL
   if there is no such suffix */
static const char *
after_suffix (const char *name)
{
  GPtrArray *containers = qconv_registry_containers ();

  for (guint i = 0; i < containers->len; i++)
    for (const char *const *s = ((const QconvContainer *) g_ptr_array_index (containers, i))->suffixes; *s != NULL; s++)
      {
        const char *found = g_strrstr (name, *s);

        if (found != NULL && found != name && found[strlen (*s)] != '\0')
          return found + strlen (*s);
      }
  return NULL;
}

gboolean
qconv_not_model_check_name (const char *name, GError **error)
{
  const char *rest = after_suffix (name);
  g_autofree char *whole = rest != NULL ? g_strndup (name, (gsize) (rest - name)) : NULL;

  if (rest == NULL)
    return TRUE;
  if (g_regex_match_simple ("^\\.(part|partial|incomplete|crdownload|download|aria2|tmp)$", rest,
                            G_REGEX_CASELESS | G_REGEX_RAW, 0))
    return qconv_fail (error, QCONV_ERROR_INPUT, "this is an unfinished download of \"%s\": download it again", whole);
  if (g_regex_match_simple ("^[._-](part|split|chunk)?[._-]?([0-9]{1,4}|[a-z]{1,2})([._-]?of[._-]?[0-9]+)?$", rest,
                            G_REGEX_CASELESS | G_REGEX_RAW, 0))
    return qconv_fail (error, QCONV_ERROR_INPUT,
                       "this is a piece of \"%s\": first join all pieces in their order, as in: cat %s%c* > %s", whole,
                       whole, rest[0], whole);
  return TRUE;
}

/* Names that split(1) and other programs give to pieces: "xaa", "model.part-01"; the second group is the number */
#define PIECE_NAME "^(x|(?:.*[._-])?(?:part|split|chunk)[._-]?)([0-9]{1,4}|[a-z]{2,3})$"

/* Fails if two or more of @names are pieces by their names. @path: of their folder */
static gboolean
check_pieces (const char *path, const GPtrArray *names, GError **error)
{
  g_autoptr (GRegex) piece = g_regex_new (PIECE_NAME, G_REGEX_RAW, 0, NULL);
  g_autofree char *start = NULL, *all = NULL;
  guint n = 0;

  for (guint i = 0; i < names->len; i++)
    {
      g_autoptr (GMatchInfo) match = NULL;

      if (g_regex_match (piece, g_ptr_array_index (names, i), 0, &match) && n++ == 0)
        start = g_match_info_fetch (match, 1);
    }
  if (n < 2)
    return TRUE;
  all = g_build_filename (path, start, NULL);
  return qconv_fail (
      error, QCONV_ERROR_INPUT,
      "no model in this folder, but %u pieces of a file: first join them in their order, as in: cat %s* > "
      "model.safetensors",
      n, all);
}

gboolean
qconv_not_model_check_folder (const char *path, GError **error)
{
  g_autoptr (GPtrArray) names = g_ptr_array_new_with_free_func (g_free);
  g_autoptr (GDir) dir = g_dir_open (path, 0, NULL);
  const char *name;

  while (dir != NULL && (name = g_dir_read_name (dir)) != NULL)
    g_ptr_array_add (names, g_strdup (name));
  g_ptr_array_sort (names, qconv_compare_strings);
  for (guint i = 0; i < names->len; i++)
    {
      g_autofree char *file = g_build_filename (path, g_ptr_array_index (names, i), NULL);

      if (!qconv_not_model_check_name (file, error))
        {
          g_prefix_error (error, "no model in this folder; %s: ", (const char *) g_ptr_array_index (names, i));
          return FALSE;
        }
    }
  return check_pieces (path, names, error);
}

/* ---- First bytes ---- */

/* A file that begins with @bytes, in small or large letters. @what: the message */
typedef struct {
  const char *bytes;
  guint n;
  const char *what;
} Sign;

#define WEB_PAGE "this is an HTML page, not a model: the server answered with a page, such as an error or a login"
#define ARCHIVE "this is an archive: unpack it first"

static const Sign signs[] = {
  { "version https://git-lfs", 23, "this is a Git LFS pointer, not the model itself: fetch that with 'git lfs pull'" },
  { "<!doctype html", 14, WEB_PAGE },
  { "<html", 5, WEB_PAGE },
  { "<?xml", 5, "this is XML, not a model: the server answered with an error" },
  { "\x89HDF\r\n", 6, "this is an HDF5 file: convert it to safetensors first" },
  { "\x93NUMPY", 6, "this is a NumPy array: convert it to safetensors first" },
  { "\x1f\x8b", 2, ARCHIVE },
  { "\x28\xb5\x2f\xfd", 4, ARCHIVE },
  { "7z\xbc\xaf", 4, ARCHIVE },
  { "Rar!", 4, ARCHIVE },
};

/* Returns whether the file is a Python pickle, by itself or in the zip that torch makes */
static gboolean
looks_like_pickle (const guint8 *head, gsize n)
{
  return (n >= 2 && head[0] == 0x80 && head[1] >= 2 && head[1] <= 5)
         || (n >= 4 && memcmp (head, "PK\003\004", 4) == 0 && memmem (head, n, "data.pkl", 8) != NULL);
}

/* Returns: (transfer full) (nullable): the first line of the file, or its start, if it is text; NULL if it is not */
static char *
start_of_text (const guint8 *head, gsize n)
{
  gsize length = MIN (n, 256);
  g_autofree char *start = NULL, *valid = NULL;
  const char *end;

  for (gsize i = 0; i < length; i++)
    if (head[i] == 0x7f || (head[i] < 0x20 && strchr ("\t\n\r", head[i]) == NULL) || head[i] == 0)
      return NULL;
  /* The last character may be cut */
  if (length == 0
      || (!g_utf8_validate ((const char *) head, (gssize) length, &end) && end + 4 <= (const char *) head + length))
    return NULL;
  start = g_strstrip (g_strndup ((const char *) head, length));
  start[strcspn (start, "\r\n")] = '\0';
  valid = g_utf8_make_valid (start, -1);
  return g_utf8_substring (valid, 0, MIN (60, g_utf8_strlen (valid, -1)));
}

static gboolean
all_zero (const guint8 *head, gsize n)
{
  return n > 0 && head[0] == 0 && memcmp (head, head + 1, n - 1) == 0;
}

gboolean
qconv_not_model_check_head (const guint8 *head, gsize n, GError **error)
{
  g_autofree char *text = NULL;
  gsize blanks = 0;

  if (n == 0)
    return qconv_fail (error, QCONV_ERROR_INPUT, "the file is empty");
  if (looks_like_pickle (head, n))
    return qconv_fail (error, QCONV_ERROR_UNSUPPORTED,
                       "this is a Python pickle, which can run code when it is read: convert it to safetensors first");
  if (all_zero (head, n))
    return qconv_fail (error, QCONV_ERROR_INPUT,
                       "the file begins with %" G_GSIZE_FORMAT " zero bytes: its download or copy was not completed",
                       n);
  while (blanks < n && g_ascii_isspace (head[blanks]))
    blanks++;
  for (guint i = 0; i < G_N_ELEMENTS (signs); i++)
    if (n - blanks >= signs[i].n && g_ascii_strncasecmp ((const char *) head + blanks, signs[i].bytes, signs[i].n) == 0)
      return qconv_fail (error, QCONV_ERROR_INPUT, "%s", signs[i].what);
  if (n >= 4 && memcmp (head, "PK\003\004", 4) == 0)
    return qconv_fail (error, QCONV_ERROR_INPUT, "%s", ARCHIVE);
  text = start_of_text (head, n);
  if (text == NULL)
    return TRUE;
  return qconv_fail (error, QCONV_ERROR_INPUT, "this is %s, not a model; it begins with: %s",
                     text[0] == '{' || text[0] == '[' ? "JSON" : "text", text);
}
