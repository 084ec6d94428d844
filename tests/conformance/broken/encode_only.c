/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A scheme that the reader claims and nothing decodes. broken.sh says what a user then sees. */
#include "qconv-plugin.h"

#define BROKEN broken_encode_only

#define BROKEN_DECODE NULL
#include "broken.h"
