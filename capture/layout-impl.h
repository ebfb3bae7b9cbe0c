/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CAPTURE_LAYOUT_IMPL_H
#define CAPTURE_LAYOUT_IMPL_H

#include "capture/layout.h"

/* Adds what there is to say about the disks that are taken. */
void layout_find(const struct machine *machine, struct layout *layout);

#endif
