/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The language of structured fuzz inputs: text that says what files hold and what is asked for, so that most mutations
   of a valid input are valid too. trial.c reads it for the targets that write.

   An input is lines of the job, then files, each behind a line "== NAME". Unknown lines of a job mean nothing; an
   unknown NAME or target stands for one of those that are known.

     target nvfp4-comfy
     keep ^blocks\.0\.
     == model.safetensors
     blocks.0.attn.weight BF16 32x64
     blocks.0.attn.bias F32 32 0000c07f
     blocks.0.attn.comfy_quant U8 * {"format": "nvfp4"}
     # format pt

   A line of a .safetensors file is a tensor: name (with %XX escapes), dtype, shape ("-": one item; "*": as many as the
   text has bytes), then either bytes in hexadecimal for its start, with "*" behind them for all of it, or a text that
   begins with a character that is none of these. The other items are numbers that look like weights. "# KEY VALUE" is
   metadata. A body that begins with "!" holds the bytes behind it as they are, and so does any other file. */
#pragma once
#include "qconv.h"

/* @name: of a file; @body: what the input says of it, @size bytes */
typedef struct {
  const char *name;
  const guint8 *body;
  gsize size;
} RecipeFile;

/**
 * Recipe: a parsed input.
 *
 * @job: what the lines say, but no output and no files
 * @files: (element-type RecipeFile)
 * @texts: (element-type utf8): owns the texts of @job
 * @lists: (element-type GPtrArray): owns its lists
 */
typedef struct {
  QconvJob job;
  GArray *files, *hints;
  GPtrArray *texts, *lists;
} Recipe;

/* Parses an input. @names: (nullable): NULL-terminated: the files that it may hold; it must stay valid, like @data.
   @edit: there is no target. Returns: (transfer full) */
Recipe *recipe_new (const guint8 *data, gsize size, const char *const *names, gboolean edit);
void recipe_free (Recipe *r);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Recipe, recipe_free)
/* Returns: (nullable): the first file called @name */
const RecipeFile *recipe_find (const Recipe *r, const char *name);
/* Returns: (transfer full): the bytes of the file that @f describes */
GByteArray *recipe_bytes (const RecipeFile *f);
