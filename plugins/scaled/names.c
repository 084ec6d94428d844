/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Splits names of tensors by their words. Words, not suffixes, are listed, because toolkits combine them freely. */
#include "names.h"

#include <string.h>

static const struct {
  const char *word;
  ScaledRole role;
} words[] = {
  { "2", SCALED_SCALE },          { "block", SCALED_NEUTRAL },  { "channel", SCALED_NEUTRAL },
  { "global", SCALED_SCALE },     { "group", SCALED_NEUTRAL },  { "nested", SCALED_NEUTRAL },
  { "row", SCALED_NEUTRAL },      { "tensor", SCALED_NEUTRAL }, { "shape", SCALED_NEUTRAL },
  { "codes", SCALED_CODES },      { "data", SCALED_CODES },     { "q", SCALED_CODES },
  { "w", SCALED_CODES },          { "weight", SCALED_CODES },   { "weights", SCALED_CODES },
  { "bitmask", SCALED_PACKED },   { "blocks", SCALED_PACKED },  { "packed", SCALED_PACKED },
  { "qdata", SCALED_PACKED },     { "qidxs", SCALED_PACKED },   { "qweight", SCALED_PACKED },
  { "trellis", SCALED_PACKED },   { "inv", SCALED_FACTOR },     { "scale", SCALED_FACTOR },
  { "scales", SCALED_FACTOR },    { "absmax", SCALED_SCALE },   { "amax", SCALED_SCALE },
  { "biases", SCALED_SCALE },     { "codebook", SCALED_SCALE }, { "codebooks", SCALED_SCALE },
  { "compressed", SCALED_SCALE }, { "factor", SCALED_SCALE },   { "g", SCALED_SCALE },
  { "groups", SCALED_SCALE },     { "idx", SCALED_SCALE },      { "invperm", SCALED_SCALE },
  { "lut", SCALED_SCALE },        { "map", SCALED_SCALE },      { "meta", SCALED_SCALE },
  { "offset", SCALED_SCALE },     { "offsets", SCALED_SCALE },  { "perm", SCALED_SCALE },
  { "point", SCALED_SCALE },      { "pre", SCALED_SCALE },      { "quant", SCALED_SCALE },
  { "s", SCALED_SCALE },          { "qscale", SCALED_SCALE },   { "qzeros", SCALED_SCALE },
  { "rel", SCALED_SCALE },        { "scb", SCALED_SCALE },      { "shift", SCALED_SCALE },
  { "state", SCALED_SCALE },      { "su", SCALED_SCALE },       { "suh", SCALED_SCALE },
  { "sv", SCALED_SCALE },         { "svh", SCALED_SCALE },      { "wscales", SCALED_SCALE },
  { "wtscale", SCALED_SCALE },    { "wzeros", SCALED_SCALE },   { "zero", SCALED_SCALE },
  { "zeros", SCALED_SCALE },      { "zp", SCALED_SCALE },       { "act", SCALED_INPUT },
  { "activation", SCALED_INPUT }, { "input", SCALED_INPUT },    { "output", SCALED_INPUT },
};

static gboolean
is_separator (char c)
{
  return c == '_' || c == '.' || c == ':';
}

/* Returns the start of the last word of the @n characters at @name. */
static gsize
word_start (const char *name, gsize n)
{
  while (n > 0 && !is_separator (name[n - 1]))
    n--;
  return n;
}

static ScaledRole
role_of_word (const char *word, gsize n)
{
  for (guint i = 0; i < G_N_ELEMENTS (words); i++)
    if (strlen (words[i].word) == n && g_ascii_strncasecmp (words[i].word, word, n) == 0)
      return words[i].role;
  return SCALED_OTHER;
}

/* Returns the length of @name, of @n characters, without the words of a role at the end of its last component. */
static gsize
strip_component (const char *name, gsize n, ScaledRole *role)
{
  for (;;)
    {
      gsize start = word_start (name, n);
      ScaledRole of = role_of_word (name + start, n - start);

      if (n > start && of == SCALED_OTHER)
        return n;
      *role = MAX (*role, of);
      if (start == 0)
        return 0;
      n = start - 1;
      if (name[n] != '_')
        return n;
    }
}

/* Returns whether the last component of the @n characters at @name is the weight that members stand behind, as in
   "m.weight._scale" and "m.weight._data._data". */
static gboolean
ends_in_weight (const char *name, gsize n)
{
  static const char *const ends[] = { "weight", "qweight", "_data" };
  gsize start = n;

  while (start > 0 && name[start - 1] != '.' && name[start - 1] != ':')
    start--;
  for (guint i = 0; i < G_N_ELEMENTS (ends); i++)
    if (strlen (ends[i]) == n - start && strncmp (name + start, ends[i], n - start) == 0)
      return TRUE;
  return FALSE;
}

char *
scaled_layer_name (const char *name, ScaledRole *role)
{
  gsize n = strlen (name), left;

  *role = SCALED_OTHER;
  left = strip_component (name, n, role);
  if (*role <= SCALED_NEUTRAL)
    {
      *role = SCALED_OTHER;
      return g_strdup (name);
    }
  while (left > 0 && (name[left] == '.' || name[left] == ':') && ends_in_weight (name, left))
    left = strip_component (name, left, role);
  return g_strndup (name, left);
}

gboolean
scaled_is_innocent (const char *name)
{
  static const char *const innocent[] = { "running_", "num_batches", "lora", "comfy_quant", "weight_norm" };
  const char *last = strrchr (name, '.');

  last = last != NULL ? last + 1 : name;
  for (guint i = 0; i < G_N_ELEMENTS (innocent); i++)
    if (strstr (last, innocent[i]) != NULL)
      return TRUE;
  return strstr (last, "bias") != NULL && strstr (last, "biases") == NULL;
}
