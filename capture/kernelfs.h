/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The kernel's file systems for tracing, whether they are mounted or not. */
#ifndef CAPTURE_KERNELFS_H
#define CAPTURE_KERNELFS_H

#include "p2v/base/err.h"

/* "debugfs", as a folder's descriptor.  Where it is not mounted at its usual place it is mounted for us
 * alone: nothing stays of that but the descriptor. */
struct err *kernelfs_open_debugfs(int *ret_fd) ERR_MUST_CHECK;
/* "tracefs", likewise. */
struct err *kernelfs_open_tracefs(int *ret_fd) ERR_MUST_CHECK;

#endif
