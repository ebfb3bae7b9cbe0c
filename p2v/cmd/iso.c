/* SPDX-License-Identifier: GPL-3.0-or-later */
/* p2v iso: its commands. */
#include "p2v/cmd/iso.h"

static const struct verb commands[] = {
	{"build", "--out FILE [options]", "make a boot medium from Debian's packages", iso_cmd_build},
	{"configure", "ISO --out NEW [options]", "write settings into a boot medium", iso_cmd_configure},
};

struct err *cmd_iso(int argc, char **argv)
{
	static const struct command_group group = {
		.name = "iso",
		.summary = "p2v iso makes a medium that boots a server and sends its disks.",
		.commands = commands,
		.count = sizeof commands / sizeof *commands,
	};

	return cmd_run_command(&group, argc, argv);
}
