/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Fuzz target for the containers of one plugin: the tensors of every file that opens must be readable, and must be the
   same after the file is written again. */
#include <stdint.h>
#include <string.h>

#include "io/directory.h"
#include "io/source.h"
#include "qconv-plugin.h"
#include "registry/values.h"

/* The build defines QCONV_FUZZ_PLUGIN as the plugin's exported function */
const QconvPlugin *QCONV_FUZZ_PLUGIN (void);
int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

typedef struct {
  QconvSource *source;
  QconvDirectory *directory;
} Model;

static void
clear_model (Model *m)
{
  g_clear_pointer (&m->directory, qconv_directory_free);
  g_clear_pointer (&m->source, qconv_source_free);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Model, clear_model)

/* Returns: (transfer full): a name with the suffix for which the container gives the bytes the highest score */
static char *
best_name (const QconvContainer *c, const uint8_t *data, size_t size)
{
  g_autofree char *best = NULL;
  guint best_score = 0;

  for (guint i = 0; c->suffixes[i] != NULL; i++)
    {
      g_autofree char *name = g_strconcat ("fuzz", c->suffixes[i], NULL);
      guint score = c->score (c, name, data, MIN (size, 65536), size);

      g_assert_true (score <= 100);
      if (best == NULL || score > best_score)
        {
          g_free (best);
          best = g_steal_pointer (&name);
          best_score = score;
        }
    }
  return g_steal_pointer (&best);
}

static gboolean
open_bytes (const QconvContainer *c, const uint8_t *data, size_t size, Model *m)
{
  g_autoptr (GBytes) bytes = g_bytes_new (data, size);
  g_autoptr (QconvValues) options = qconv_values_new (c->options);
  g_autofree char *name = best_name (c, data, size);
  g_autoptr (GError) error = NULL;
  gboolean ok;

  m->source = qconv_source_new_for_bytes (bytes, name);
  m->directory = qconv_directory_new (c->id, m->source);
  ok = c->open (c, m->source, options, m->directory, &error);
  g_assert_true (ok == (error == NULL));
  return ok;
}

static volatile guint8 sink; /* keeps the compiler from removing reads */

static void
touch (const QconvDirectory *d)
{
  const char *const *keys = qconv_directory_metadata_keys (d);

  for (guint i = 0; i < qconv_directory_n_tensors (d); i++)
    {
      const QconvTensor *t = qconv_directory_tensor (d, i);
      guint8 first = 0, last = 0;

      g_assert_true (qconv_directory_find (d, t->name) == t);
      if (t->n_bytes > 0)
        g_assert_true (qconv_tensor_read (t, 0, 1, &first, NULL)
                       && qconv_tensor_read (t, t->n_bytes - 1, 1, &last, NULL));
      sink ^= first ^ last;
    }
  for (guint i = 0; keys[i] != NULL; i++)
    {
      GVariant *value = qconv_directory_metadata (d, keys[i]);
      gsize n = g_variant_get_size (value);
      const guint8 *bytes = g_variant_get_data (value);

      if (n > 0)
        sink ^= bytes[0] ^ bytes[n - 1];
    }
}

/* Writes the tensors of @d to a new file. Returns: (transfer full) (nullable): NULL if the container cannot write them
 */
static GByteArray *
write_again (const QconvContainer *c, const QconvDirectory *d)
{
  g_autoptr (QconvDirectory) planned = qconv_directory_new (c->id, NULL);
  g_autoptr (GByteArray) bytes = g_byte_array_new ();
  g_autofree QconvTensor **tensors = g_new0 (QconvTensor *, qconv_directory_n_tensors (d) + 1);
  const char *const *keys = qconv_directory_metadata_keys (d);
  g_autoptr (GError) error = NULL;
  guint64 size = 0, header;

  for (guint i = 0; keys[i] != NULL; i++)
    qconv_directory_replace_metadata (planned, keys[i], qconv_directory_metadata (d, keys[i]));
  for (guint i = 0; i < qconv_directory_n_tensors (d); i++)
    {
      QconvTensor t = *qconv_directory_tensor (d, i);

      t.source = NULL;
      t.type = NULL;
      g_assert_true (qconv_directory_add (planned, &t, NULL));
      tensors[i] = qconv_directory_planned (planned, i);
    }
  if (!c->lay_out (c, planned, tensors, qconv_directory_n_tensors (d), bytes, &size, &error))
    {
      g_assert_true (g_error_matches (error, QCONV_ERROR, QCONV_ERROR_UNSUPPORTED));
      return NULL;
    }
  g_assert_true (size >= bytes->len && size <= G_MAXUINT32);
  header = bytes->len;
  g_byte_array_set_size (bytes, (guint) size);
  memset (bytes->data + header, 0, size - header);
  for (guint i = 0; i < qconv_directory_n_tensors (d); i++)
    {
      const QconvTensor *from = qconv_directory_tensor (d, i), *to = qconv_directory_tensor (planned, i);

      g_assert_true (to->offset <= size && to->n_bytes <= size - to->offset);
      g_assert_true (qconv_tensor_read (from, 0, from->n_bytes, bytes->data + to->offset, NULL));
    }
  return g_steal_pointer (&bytes);
}

static void
compare (const QconvDirectory *a, const QconvDirectory *b)
{
  const char *const *keys = qconv_directory_metadata_keys (a);

  g_assert_true (g_strv_equal (keys, qconv_directory_metadata_keys (b)));
  for (guint i = 0; keys[i] != NULL; i++)
    g_assert_true (g_variant_equal (qconv_directory_metadata (a, keys[i]), qconv_directory_metadata (b, keys[i])));
  g_assert_true (qconv_directory_n_tensors (a) == qconv_directory_n_tensors (b));
  for (guint i = 0; i < qconv_directory_n_tensors (a); i++)
    {
      const QconvTensor *x = qconv_directory_tensor (a, i), *y = qconv_directory_find (b, x->name);
      g_autofree guint8 *p = g_malloc (x->n_bytes + 1), *q = g_malloc (x->n_bytes + 1);

      g_assert_true (y != NULL && x->dtype == y->dtype && x->n_bytes == y->n_bytes);
      g_assert_true (qconv_shape_equal (&x->shape, &y->shape));
      g_assert_true (qconv_tensor_read (x, 0, x->n_bytes, p, NULL) && qconv_tensor_read (y, 0, y->n_bytes, q, NULL));
      g_assert_true (memcmp (p, q, x->n_bytes) == 0);
    }
}

static void
test_container (const QconvContainer *c, const uint8_t *data, size_t size)
{
  g_auto (Model) m = { 0 }, again = { 0 };
  g_autoptr (GByteArray) bytes = NULL;

  if (!open_bytes (c, data, size, &m))
    return;
  touch (m.directory);
  if (c->lay_out == NULL)
    return;
  bytes = write_again (c, m.directory);
  if (bytes == NULL)
    return;
  g_assert_true (open_bytes (c, bytes->data, bytes->len, &again));
  compare (m.directory, again.directory);
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  for (const QconvContainer *const *c = QCONV_FUZZ_PLUGIN ()->containers; *c != NULL; c++)
    test_container (*c, data, size);
  return 0;
}
