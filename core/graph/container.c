/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Finds the container that reads a file. qconv_model_open() calls it. */
#include "graph/container.h"

#include "graph/not-model.h"

#define HEAD_SIZE (64u << 10)
#define BY_SYNTAX 50 /* the least score of a container that looked into the file, not only at its name */

static gboolean
has_suffix (const QconvContainer *c, QconvSource *source)
{
  for (guint i = 0; c->suffixes[i] != NULL; i++)
    if (g_str_has_suffix (qconv_source_name (source), c->suffixes[i]))
      return TRUE;
  return FALSE;
}

/* Returns the container with the highest score; the suffix breaks ties. @by_suffix: only the suffix counts, because
   the container of that suffix can report the faults of a file that no container recognises. @score: that score */
static const QconvContainer *
best_container (QconvSource *source, const guint8 *head, gsize n, gboolean by_suffix, guint *best_score)
{
  GPtrArray *containers = qconv_registry_containers ();
  const QconvContainer *best = NULL;
  guint most = 0;

  for (guint i = 0; i < containers->len; i++)
    {
      const QconvContainer *c = g_ptr_array_index (containers, i);
      guint score = by_suffix ? 0 : c->score (c, qconv_source_name (source), head, n, qconv_source_size (source));

      score = MIN (score, 100) * 2;
      if ((score > 0 || by_suffix) && has_suffix (c, source))
        score++;
      if (score > most)
        {
          most = score;
          best = c;
        }
    }
  *best_score = most / 2;
  return best;
}

const QconvContainer *
qconv_open_container (QconvSource *source, const char *from, GError **error)
{
  gsize n = (gsize) MIN (qconv_source_size (source), HEAD_SIZE);
  g_autofree guint8 *head = g_malloc (MAX (n, 1));
  const QconvContainer *forced = from != NULL ? qconv_registry_container (from) : NULL;
  const QconvContainer *best;
  guint score;

  if (forced != NULL)
    return forced;
  if (!qconv_registry_check (error))
    return NULL;
  if (from != NULL && qconv_registry_reader (from) == NULL)
    {
      qconv_fail (error, QCONV_ERROR_NO_PLUGIN, "unknown format \"%s\"; `qconv formats` lists them", from);
      return NULL;
    }
  if (!qconv_source_read (source, 0, n, head, error))
    return NULL;
  best = best_container (source, head, n, FALSE, &score);
  if (score < BY_SYNTAX
      && (!qconv_not_model_check_name (qconv_source_name (source), error)
          || !qconv_not_model_check_head (head, n, error)))
    return NULL;
  if (best == NULL)
    best = best_container (source, head, n, TRUE, &score);
  if (best == NULL)
    qconv_fail (error, QCONV_ERROR_INPUT, "not a model in any format that a loaded plugin knows");
  return best;
}
