/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* bench-decode FILE [ROWS]: measures on one core how fast the weights of a file are read and decoded to F32, the file
   being in memory: bytes of the floats per second, and the ratio to memcpy() of as many bytes outside the caches. One
   line for each scheme. Layers whose reader wants all rows are loaded once and decoded in tiles, as in a conversion.
   ROWS: of a tile, which is loaded by itself. */
#include <string.h>

#include "graph/model.h"
#include "layer/load.h"
#include "layer/tile.h"
#include "registry/registry.h"

enum { ROUNDS = 5, LARGEST = 64 << 20 };

/* Memory for what a layer keeps and for one tile, and the rows of a tile; 0: as a conversion has them */
typedef struct {
  Arena kept, arena;
  guint64 rows;
} Memory;

static gboolean
is_held (const SourceLayer *s, const Memory *mem)
{
  return mem->rows == 0 && qconv_source_layer_by_columns (s);
}

/* Returns the rows of a tile: those that are worth loading, as long as they fit. */
static guint64
tile_rows (const SourceLayer *s, const Memory *mem)
{
  guint64 row = s->layer->pub.cols * sizeof (float), fit = MAX (LARGEST / row, 1), cached = TILE_TARGET / row;

  return MIN (mem->rows != 0 ? mem->rows : MIN (MAX (is_held (s, mem) ? 1 : s->min_rows, cached), fit),
              s->layer->pub.rows);
}

/* Decodes all rows. Returns the bytes of the floats. */
static double
decode_layer (const SourceLayer *s, Memory *mem)
{
  g_autoptr (Components) whole = qconv_components_new_source (s);
  g_autoptr (GError) error = NULL;
  guint64 n = tile_rows (s, mem), rows = s->layer->pub.rows;
  double bytes = 0;

  mem->kept.used = 0;
  if (!qconv_components_load (s, whole, SCOPE_LAYER, &(Rows) { .arena = &mem->kept }, &error)
      || (is_held (s, mem) && !qconv_source_hold (s, whole, &(Rows) { .arena = &mem->kept }, &error)))
    g_error ("%s: %s", s->name, error->message);
  for (guint64 first = 0; first < rows; first += n)
    {
      QconvBuffer floats;

      mem->arena.used = 0;
      if (!qconv_floats_load (s, qconv_components_view (whole, &mem->arena),
                              &(Rows) { first, MIN (n, rows - first), &mem->arena, NULL }, FALSE, &floats, &error))
        g_error ("%s: %s", s->name, error->message);
      bytes += (double) floats.size;
    }
  return bytes;
}

/* Returns the bytes that memcpy() copies in a microsecond. */
static double
copy_rate (void)
{
  g_autofree guint8 *from = g_malloc (LARGEST), *to = g_malloc (LARGEST);
  gint64 best = G_MAXINT64;

  memset (from, 1, LARGEST);
  memset (to, 2, LARGEST);
  for (guint round = 0; round < ROUNDS; round++)
    {
      gint64 start = g_get_monotonic_time ();

      memcpy (to, from, LARGEST);
      best = MIN (best, g_get_monotonic_time () - start);
    }
  return (double) LARGEST / (double) best;
}

static void
measure (const QconvModel *m, const char *scheme, Memory *mem)
{
  double best = 0;

  for (guint round = 0; round < ROUNDS; round++)
    {
      gint64 start = g_get_monotonic_time ();
      double bytes = 0;

      for (guint i = 0; i < m->layers->len; i++)
        {
          const SourceLayer *s = g_ptr_array_index (m->layers, i);

          if (g_str_equal (s->layer->pub.scheme, scheme))
            bytes += decode_layer (s, mem);
        }
      best = MAX (best, bytes / (double) (g_get_monotonic_time () - start));
    }
  g_print ("%-12s %8.2f GB/s %8.3f of memcpy\n", scheme, best / 1e3, best / copy_rate ());
}

/* meson.build lists the plugins that are linked in and defines FOR_EACH_PLUGIN(X) as "X(gptq) …" */
#define DECLARE(name) const QconvPlugin *qconv_plugin_##name (void);
#define ADD(name) qconv_registry_add_built_in (qconv_plugin_##name ());
FOR_EACH_PLUGIN (DECLARE)

int
main (int argc, char **argv)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (QconvModel) m = NULL;
  g_autoptr (GHashTable) schemes = g_hash_table_new (g_str_hash, g_str_equal);
  GHashTableIter iter;
  const char *scheme;
  Memory mem = { .rows = argc == 3 ? g_ascii_strtoull (argv[2], NULL, 10) : 0 };

  FOR_EACH_PLUGIN (ADD)
  m = argc >= 2 ? qconv_model_open (argv[1], NULL, &error) : NULL;
  if (m == NULL)
    g_error ("%s", error != NULL ? error->message : "usage: bench-decode FILE [ROWS]");
  for (guint i = 0; i < m->layers->len; i++)
    {
      const SourceLayer *s = g_ptr_array_index (m->layers, i);

      if (s->layer->quantizer == NULL)
        continue;
      mem.kept.size = MAX (mem.kept.size, qconv_source_cost (s, SCOPE_LAYER, 0) + qconv_hold_cost (s));
      mem.arena.size = MAX (mem.arena.size, TILE_SLACK + qconv_floats_cost (s, tile_rows (s, &mem), FALSE));
      g_hash_table_add (schemes, (gpointer) s->layer->pub.scheme);
    }
  mem.kept.base = g_aligned_alloc0 (mem.kept.size + 1, 1, ARENA_ALIGN);
  mem.arena.base = g_aligned_alloc0 (mem.arena.size + 1, 1, ARENA_ALIGN);
  g_hash_table_iter_init (&iter, schemes);
  while (g_hash_table_iter_next (&iter, (gpointer *) &scheme, NULL))
    measure (m, scheme, &mem);
  g_aligned_free (mem.kept.base);
  g_aligned_free (mem.arena.base);
  return 0;
}
