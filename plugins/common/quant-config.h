/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the JSON files beside the weights of a language model say of their quantization. Shapes are to be trusted more:
   such files are copied from model to model. */
#pragma once
#include "qconv-container.h"

/**
 * QuantConfig: the object that describes the quantization.
 *
 * @file: the name of the file that holds it, for messages
 * @object: (nullable): a{sv}, as qconv_json_parse() has it; NULL: no file beside the weights describes it
 */
typedef struct {
  const char *file;
  GVariant *object;
} QuantConfig;

/* Looks for quantize_config.json and quant_config.json (GPTQModel: quantization/config.py), the "quantization_config"
   in config.json (transformers) and the "quantization" in hf_quant_config.json (ModelOpt), in this order. Calls @warn
   (nullable) with the reason for a file that cannot be read or is no JSON object, and passes over it.
   Returns: (transfer full): the description, which may be empty */
QuantConfig *quant_config_read (const QconvDirectory *d,
                                void (*warn) (gpointer data, const char *file, const char *why), gpointer data);
void quant_config_free (QuantConfig *c);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (QuantConfig, quant_config_free)

/* Each looks up a member of @object, a{sv} (nullable). Returns FALSE, or NULL, if there is none of the type. */
gboolean quant_config_int (GVariant *object, const char *key, gint64 *value);
gboolean quant_config_bool (GVariant *object, const char *key, gboolean *value);
/* Returns: (transfer none) (nullable): the text, which lives as long as @object. */
const char *quant_config_string (GVariant *object, const char *key);
/* Returns: (transfer full) (nullable): a{sv} */
GVariant *quant_config_object (GVariant *object, const char *key);
