/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* GGUF files made in a test, good and broken ones. */
#pragma once
#include <glib.h>

enum { KV_U8, KV_I8, KV_U16, KV_I16, KV_U32, KV_I32, KV_F32, KV_BOOL, KV_STRING, KV_ARRAY, KV_U64, KV_I64, KV_F64 };

/* @alignment: of the data, as the reader will see it */
typedef struct {
  gboolean big;
  guint32 version, alignment;
  guint64 n_keys, n_tensors;
  GByteArray *keys, *infos, *data;
} Build;

/* Returns: (transfer full): an empty file of version 3. */
Build *build_new (gboolean big);
void build_free (Build *b);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Build, build_free)

/* Adds a key with an integer or bool of type @kind. */
void build_integer (Build *b, const char *key, guint32 kind, gint64 value);
void build_text (Build *b, const char *key, const char *value);
/* Adds a key with an array of integers. */
void build_integers (Build *b, const char *key, guint32 kind, const gint64 *values, guint n);
/* Adds a key with the bytes of any value. */
void build_raw (Build *b, const char *key, guint32 kind, gconstpointer value, guint n);
/* Adds a tensor with data. Its dimensions follow as int, fastest first, and end with -1. */
void build_tensor (Build *b, const char *name, guint32 type, gconstpointer data, guint n, ...);
/* Returns: (transfer full) */
GByteArray *build_file (const Build *b);
