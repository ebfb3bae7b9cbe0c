/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The reporting unit: report.sh and a systemd service that runs it.
 *
 * It is wanted by sysinit.target without any order, and survives isolation, so
 * that a system which ends in emergency mode reports as well: that is when the
 * list of failed units is worth most.  It is of Type=simple and holds no job,
 * so the boot does not wait for it.
 */
#include "p2v/prove/prove.h"

#include <ctype.h>
#include <string.h>

#include "p2v/base/mem.h"
#include "p2v/prove/script.h"

#define UNIT_DIR "/etc/systemd/system"
#define UNIT UNIT_DIR "/p2v-prove.service"
#define SCRIPT UNIT_DIR "/p2v-prove.sh"
#define LINK UNIT_DIR "/sysinit.target.wants/p2v-prove.service"

static const char unit_head[] = "# Put here by p2v, into a throw-away copy of the disk.\n"
				"[Unit]\n"
				"Description=p2v: report what this copy of the system booted on\n"
				"DefaultDependencies=no\n"
				"IgnoreOnIsolate=yes\n"
				"Conflicts=shutdown.target\n"
				"Before=shutdown.target\n"
				"\n"
				"[Service]\n"
				"Type=simple\n"
				"TimeoutStopSec=5\n"
				"StandardInput=null\n";

/* Addresses come from the guest's files and end up on a command line. */
static bool is_address(const char *s)
{
	if (!*s)
		return false;
	for (; *s; s++)
		if (!isxdigit((unsigned char)*s) && !strchr(".:/", *s))
			return false;
	return true;
}

static void format_unit(const struct inspection *inspection, struct text *ret_text)
{
	text_addf(ret_text, "%sExecStart=/bin/sh %s %d %s", unit_head, SCRIPT, PROVE_UNIT_LIMIT_S,
		  PROVE_PORT_ADDRESS);
	for (size_t i = 0; i < inspection->interface_count; i++) {
		const struct strv *addresses = &inspection->interfaces[i].addresses;

		for (size_t k = 0; k < addresses->count; k++)
			if (is_address(addresses->items[k]))
				text_addf(ret_text, " %s", addresses->items[k]);
	}
	text_addf(ret_text, "\n");
}

static struct err *note_selinux(struct plan *plan)
{
	CLEANUP_FREE char *config = NULL;
	CLEANUP_STRV struct strv lines = {0};
	size_t bytes;

	TRY(plan_read(plan, "/etc/selinux/config", &config, &bytes));
	if (!config)
		return NULL;
	strv_split(&lines, config, "\n");
	if (strv_has(&lines, "SELINUX=enforcing"))
		plan_add_finding(plan, FINDING_NOTE,
				 "SELinux is enforcing and the reporting unit has no label: the policy may "
				 "keep it from running, and the proof then waits in vain");
	return NULL;
}

struct err *prove_plan(const struct inspection *inspection, struct plan *plan)
{
	CLEANUP_TEXT struct text unit = {0};

	if (!inspection->has_systemd)
		return err_advise(err_refused("the guest has no systemd: it cannot be made to report"),
				  "boot it yourself, from an overlay of the image, and look at its screen");
	plan_set_author(plan, "prove");
	format_unit(inspection, &unit);
	TRY(plan_write(plan, SCRIPT, prove_script, strlen(prove_script), "what the reporting unit runs"));
	TRY(plan_write(plan, UNIT, unit.data, unit.bytes, "the reporting unit"));
	TRY(plan_symlink(plan, LINK, "../p2v-prove.service", "starts the reporting unit"));
	return note_selinux(plan);
}
