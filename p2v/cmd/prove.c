/* SPDX-License-Identifier: GPL-3.0-or-later */
/* p2v prove: what is to be proved, and how it is told. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "p2v/base/mem.h"
#include "p2v/cmd/cmd.h"
#include "p2v/cmd/prove.h"

static const struct option long_options[] = {
	{"to", required_argument, NULL, 't'},
	{"firmware", required_argument, NULL, 'f'},
	{"screenshot", required_argument, NULL, 's'},
	{"json", no_argument, NULL, 'j'},
	{"verbose", no_argument, NULL, 'v'},
	{"help", no_argument, NULL, 'h'},
	{0},
};

static void print_help(void)
{
	fputs("p2v prove DIR|IMAGE [options]\n"
	      "\n"
	      "Boots a throw-away copy of a conversion's result, or of a disk image, in QEMU and tells what\n"
	      "came up: root file system, drivers, interfaces, failed units.  DIR and IMAGE stay unchanged.\n"
	      "\n"
	      "  --to TARGETS       on whose kind of hardware (default: every target of the conversion)\n"
	      "  --firmware F       bios or uefi, where it is not to be told\n"
	      "  --screenshot FILE  keep a PNG of the screen\n"
	      "  --json             the proof on standard output\n"
	      "  -v, --verbose      tell each step; -vv: all that libguestfs says, too\n",
	      stdout);
}

static struct err *take_option(void *arg, int option)
{
	struct prove_command *command = arg;

	switch (option) {
	case 't':
		return targets_parse(optarg, &command->targets);
	case 'f':
		return cmd_parse_firmware(optarg, &command->firmware);
	case 's':
		command->screenshot = optarg;
		return NULL;
	case 'j':
		command->json = true;
		return NULL;
	default:
		command->verbose++;
		return NULL;
	}
}

static struct err *read_targets(const json_t *report, unsigned *ret_targets)
{
	unsigned targets = 0;
	json_t *name;
	size_t index;

	json_array_foreach (json_object_get(report, "targets"), index, name) {
		unsigned target = 0;

		TRY(targets_parse(json_is_string(name) ? json_string_value(name) : "", &target));
		targets |= target;
	}
	*ret_targets = targets;
	return NULL;
}

/* Targets and drivers from report.json; a folder without one is fine. */
static struct err *read_report(struct prove_command *command)
{
	CLEANUP_FREE char *path = xasprintf("%s/report.json", command->path);
	CLEANUP_JSON json_t *report = NULL;
	json_t *drivers, *name;
	size_t index;

	if (access(path, F_OK))
		return NULL;
	TRY(json_read_file(path, &report));
	if (!command->targets)
		TRY(err_wrap(err_as(read_targets(report, &command->targets), ERR_REFUSED), "%s", path));
	drivers = json_object_get(json_array_get(json_object_get(report, "kernels"), 0), "drivers");
	json_array_foreach (drivers, index, name)
		if (json_is_string(name))
			strv_add(&command->drivers, json_string_value(name));
	command->drivers_known = json_is_array(drivers);
	return NULL;
}

static struct err *read_result(struct prove_command *command)
{
	CLEANUP_FREE char *path = xasprintf("%s/machine.json", command->path);
	CLEANUP_JSON json_t *json = NULL;

	TRY(err_advise(err_as(json_read_file(path, &json), ERR_REFUSED),
		       "name a folder that 'p2v convert' made, or a disk image"));
	TRY(err_wrap(machine_from_json(json, &command->machine), "%s", path));
	for (size_t i = 0; i < command->machine.disk_count; i++) {
		const char *file = command->machine.disks[i].file;

		if (!file || strchr(file, '/'))
			return err_advise(err_refused("%s: disk %zu has no file in the folder", path, i + 1),
					  "convert the machine again");
		strv_addf(&command->images, "%s/%s", command->path, file);
	}
	return read_report(command);
}

static struct err *find_images(struct prove_command *command)
{
	struct stat st;

	if (stat(command->path, &st))
		return err_advise(err_as(err_from_errno(errno, "%s", command->path), ERR_REFUSED),
				  "name a folder that 'p2v convert' made, or a disk image");
	if (S_ISDIR(st.st_mode))
		TRY(read_result(command));
	else
		strv_add(&command->images, command->path);
	if (!command->targets)
		command->targets = TARGET_KVM;
	return NULL;
}

static struct err *prove(struct prove_command *command)
{
	CLEANUP_JSON json_t *result = json_object();
	json_t *proofs = json_array();
	struct log log = cmd_log(command->verbose);
	struct err *err;

	json_object_set_new(result, "proofs", proofs);
	TRY(find_images(command));
	err = prove_targets(command, &log, proofs);
	if (command->json && json_array_size(proofs)) {
		json_dumpf(result, stdout, JSON_INDENT(2));
		putchar('\n');
	}
	return err;
}

static struct err *run(int argc, char **argv, struct prove_command *command)
{
	bool help = false;

	TRY(cmd_take_options(argc, argv, long_options, take_option, command, print_help, &help));
	if (help)
		return NULL;
	if (optind + 1 != argc)
		return err_advise(err_usage("prove: one folder or image is wanted"),
				  "say for example: p2v prove vms/server");
	command->path = argv[optind];
	return prove(command);
}

struct err *cmd_prove(int argc, char **argv)
{
	struct prove_command command = {0};
	struct err *err = run(argc, argv, &command);

	strv_deinit(&command.images);
	strv_deinit(&command.drivers);
	machine_deinit(&command.machine);
	return err;
}
