/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The commands of p2v iso. */
#ifndef P2V_CMD_ISO_H
#define P2V_CMD_ISO_H

#include "p2v/cmd/cmd.h"

struct err *iso_cmd_build(int argc, char **argv) ERR_MUST_CHECK;
struct err *iso_cmd_configure(int argc, char **argv) ERR_MUST_CHECK;

#endif
