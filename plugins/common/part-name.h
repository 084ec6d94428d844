/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Names of the files of a set, which GGUF and safetensors spell alike: "NAME-00001-of-00003.gguf". */
#pragma once
#include <glib.h>

/* Returns: (transfer full): the name of part @no, which counts from 0, of @n parts of the file @name, which may end
   with @suffix (".gguf"). */
char *qconv_part_name (const char *name, const char *suffix, guint no, guint n);
