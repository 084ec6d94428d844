/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The reader of marked layers, for the plugin's table. */
#pragma once
#include "qconv-reader.h"

extern const QconvReader comfy_reader;
