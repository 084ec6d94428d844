/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The hooks of the container, for the plugin's table. */
#pragma once
#include "qconv-container.h"

guint qconv_safetensors_score (const QconvContainer *self, const char *name, const guint8 *head, gsize n, guint64 size);
/* Names of the two files of nunchaku's older folders, which open() reads together */
extern const char *const qconv_safetensors_pairs[];
gboolean qconv_safetensors_open (const QconvContainer *self, QconvSource *source, const QconvValues *options,
                                 QconvDirectory *directory, GError **error);
/* Shards and their index */
extern const QconvSplit qconv_safetensors_split;
gboolean qconv_safetensors_lay_out (const QconvContainer *self, const QconvDirectory *planned, QconvTensor **tensors,
                                    guint n, GByteArray *header, guint64 *file_size, GError **error);
