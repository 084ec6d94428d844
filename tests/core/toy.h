/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A small world for tests of core: one plugin with a container, a reader, quantizers and a writer, all plain C. */
#pragma once
#include "qconv.h"

/**
 * The form "toy", which the container "box", the reader "toy" and the writer "toy" share: a layer L has the tensors
 * L.weight (its codes, every bit turned; one long row for the scheme once), L.scale … under the names of its other
 * components, and L.scheme, a text with the scheme and its parameters. The schemes, which toy-quantizers.c explains:
 * half, whole, once, twin, dark (encode only), light (decode only). A text "plain|KEY|rows|cols" instead says that
 * L.weight is plain, but stored column by column with every byte XORed with the hexadecimal KEY.
 */

/* The hooks of the plugin that core calls */
typedef enum {
  TOY_OPEN,
  TOY_LAY_OUT,
  TOY_CLAIM,
  TOY_LOAD,
  TOY_COMPONENTS,
  TOY_ACCUMULATE,
  TOY_FINISH,
  TOY_ENCODE,
  TOY_DECODE,
  TOY_VALIDATE,
  TOY_LAYER,
  TOY_KEEP,
  TOY_PACK,
  TOY_END,
  TOY_COMPLETE,
  TOY_INDEX,
  TOY_N_HOOKS
} ToyHook;

/**
 * Toy: settings and records of the plugin. Tests set and read it while nothing runs.
 *
 * @fail: this hook fails with @code after @spare calls that succeed; TOY_N_HOOKS: no hook fails
 * @watch: (nullable): called by every hook, on any thread
 * @calls: of each hook
 * @shift: bytes by which the container writes its tags too far behind
 * @stray: files by which the writer puts kept tensors too far behind
 * @longest: the container lays out no longer header; 0: any
 * @most_used: most bytes of a task's arena that were taken when encode() and pack functions were called
 */
typedef struct {
  ToyHook fail;
  gint spare;
  QconvError code;
  void (*watch) (ToyHook hook, gpointer data);
  gpointer watch_data;
  gint calls[TOY_N_HOOKS];
  guint shift, stray;
  guint64 longest;
  gsize most_used;
} Toy;
extern Toy toy;

/* Resets @toy */
void toy_reset (void);
/* Counts a call of a hook. Returns FALSE with @error if the test wants it to fail */
gboolean toy_call (ToyHook hook, GError **error);
/* Records the arena of @t, which is this thread's from now on */
void toy_note_tile (const QconvTile *t);
/* Records the arena of this thread up to the end of @bytes */
void toy_note_bytes (gconstpointer bytes, gsize n);

/* Plans the tensors of an encoded layer in the form "toy", all but its bias, for writers of tests */
gboolean toy_plan_layer (QconvOutput *o, const QconvLayer *l, GError **error);

extern const QconvContainer *const toy_containers[];
extern const QconvQuantizer *const toy_quantizers[];
extern const QconvQuantizer toy_dark;
/* The hook components() of schemes that have only codes */
gboolean toy_codes_components (const QconvQuantizer *self, const QconvLayer *l, QconvComponents *out, GError **error);

/* Calls g_test_init(), and offers only the plugin and the families of toy/families */
void toy_init (int *argc, char ***argv);

/**
 * ToyTensor: one tensor of a file; a list ends with { NULL }.
 * @values: (nullable): F32 items, converted to @dtype; NULL: numbers that follow from the name
 * @text: (nullable): bytes instead of @values, filled up with NUL
 */
typedef struct {
  const char *name;
  QconvDType dtype;
  QconvShape shape;
  const float *values;
  const char *text;
} ToyTensor;
/* A matrix of floats without contents of its own */
#define TOY_FLOATS(n, t, r, c)                      \
  {                                                 \
    .name = n, .dtype = t, .shape = { 2, { r, c } } \
  }
/* Groups, chunks and tiles end in the middle of each other; rows are long for the memory */
extern const ToyTensor toy_mixed[];

/* Returns: (transfer full): the path of @name in a folder of this process. Removes a file of that name */
char *toy_path (const char *name);
/* Writes a file. @metadata: (nullable): NULL-terminated "KEY=VALUE" */
void toy_write (const char *path, const ToyTensor *tensors, const char *const *metadata);
/* Writes text */
void toy_write_text (const char *path, const char *text);
/* Opens a model, which must succeed */
QconvModel *toy_open (const char *path);
/* Plans and runs. Returns FALSE with @error if either fails */
gboolean toy_run (QconvModel *m, const QconvJob *job, QconvReport **report, GError **error);
/* Converts @from to @to with @job, whose output is set; must succeed */
void toy_convert (const char *from, const char *to, const QconvJob *job);
/* Returns: (transfer full): the whole file */
GBytes *toy_file (const char *path);
/* Returns: (transfer full) (nullable): the bytes of a tensor */
GBytes *toy_tensor (const char *path, const char *name);
/* Turns @bits of one byte of a tensor */
void toy_flip (const char *path, const char *name, guint64 offset, guint8 bits);
/* Returns the number of files in the folder that holds @path */
guint toy_n_files (const char *path);
/* Fails the test unless @error has @code and its message matches the glob @text */
void toy_assert_error (const GError *error, gint code, const char *text);
/* Returns the layer @name of the plan; fails the test if there is none */
QconvPlannedInfo toy_planned (const QconvPlan *p, const char *name);
/* Returns whether the report has a problem with @code of @layer (NULL: of any layer) */
gboolean toy_reported (const QconvReport *r, const char *layer, const char *code);
