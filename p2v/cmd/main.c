/* SPDX-License-Identifier: GPL-3.0-or-later */
/* p2v: all verbs. */
#include "p2v/cmd/program.h"

static const struct verb verbs[] = {
	{"scan", "[IMAGE|DEVICE...] [--json]",
	 "tell what this machine or a disk is, and what would stop a conversion", cmd_scan},
	{"convert", "SOURCE... --out DIR [--to TARGETS]", "make disks boot as a virtual machine",
	 cmd_convert},
	{"prove", "DIR|IMAGE [--screenshot FILE]", "boot a throw-away copy and report what came up",
	 cmd_prove},
	{"receive", "--dir DIR [--listen ADDR:PORT]", "take disks in over the network", cmd_receive},
	{"send", "HOST [--disk DISK...] [--key-file FILE]", "bring disks to a receiver", cmd_send},
	{"cutover", "[JOB] [--status]", "freeze the server and complete its copy", cmd_cutover},
	{"announce", "HOST [--key-file FILE]", "tell a receiver that this machine is there", cmd_announce},
	{"status", "--dir DIR [--json]", "list the jobs of a receiver", cmd_status},
	{"iso", "COMMAND ...", "make a medium that boots a server and sends its disks", cmd_iso},
	{"vhdx", "COMMAND ...", "inspect, check, make, convert and compare VHDX files", cmd_vhdx},
};

int main(int argc, char **argv)
{
	static const struct program program = {
		.name = "p2v",
		.summary = "turns a physical server into a virtual machine that boots",
		.verbs = verbs,
		.verb_count = sizeof verbs / sizeof *verbs,
	};

	return program_run(&program, argc, argv);
}
