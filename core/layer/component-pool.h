/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Descriptions of components. Layers with equal ones hold the same copy, because most layers of a model have the shapes
   of others. layer.c calls it. */
#pragma once
#include "qconv-layer.h"

/* Returns: (transfer full): a description equal to @c, which nobody may change. Any thread may call it */
const QconvComponent *qconv_component_pooled (const QconvComponent *c);
/* Gives a description of qconv_component_pooled() back. Any thread may call it */
void qconv_component_unpool (const QconvComponent *c);
