/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Recognises files that are mistaken for models. The search for a container calls it. */
#pragma once
#include "qconv-types.h"

/* Fails with QCONV_ERROR_INPUT if the file's @name says that it is a piece of a model, or an unfinished download */
gboolean qconv_not_model_check_name (const char *name, GError **error);
/* Fails with QCONV_ERROR_INPUT if the folder @path, which holds no model, holds pieces of one or an unfinished
   download */
gboolean qconv_not_model_check_folder (const char *path, GError **error);
/* Fails with QCONV_ERROR_INPUT or QCONV_ERROR_UNSUPPORTED if the first @n bytes of a file tell what it is: a pickle, a
   Git LFS pointer, a web page, an archive, text, zeros. No container recognises the file */
gboolean qconv_not_model_check_head (const guint8 *head, gsize n, GError **error);
