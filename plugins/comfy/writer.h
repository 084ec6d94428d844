/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The writer of marked layers, for the plugin's table. */
#pragma once
#include "qconv-writer.h"

extern const QconvWriter comfy_writer;
