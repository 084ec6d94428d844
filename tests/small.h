/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Says which tests do less in the builds that check memory: the sanitizers' and valgrind's. They run the same code on
   less data and on fewer models alike; the first build runs all. */
#pragma once
#include <glib.h>

static inline gboolean
test_is_small (void)
{
  return g_getenv ("QCONV_TEST_SMALL") != NULL;
}

/* Returns TRUE if a small test leaves out way @way of @n_ways with model @model of @n_models alike, which may be the
   variants of a family, or the keys of a layer. The ways take turns: each is tried with some model, and each model in
   some way */
static inline gboolean
test_skips (guint model, guint n_models, guint way, guint n_ways)
{
  guint turns = MIN (n_models, n_ways);

  return test_is_small () && way % turns != model % turns;
}
