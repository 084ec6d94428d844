/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A scheme has the id of another plugin. broken.sh says what a user then sees. */
#include "qconv-plugin.h"

#define BROKEN broken_duplicate

#define BROKEN_SCHEME "fp8"
#include "broken.h"
