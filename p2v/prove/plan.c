/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The reporting unit: report.sh and a systemd service that runs it.
 *
 * It is wanted by sysinit.target without any order, and survives isolation, so
 * that a system which ends in emergency mode reports as well: that is when the
 * list of failed units is worth most.  It is of Type=simple and holds no job,
 * so the boot does not wait for it.
 *
 * The kernel also gets "no_timer_check".  It then does not count timer ticks
 * against the processor's clock, which goes wrong when an emulated processor is
 * not scheduled for a moment, and leaves it hanging.  Linux sets the same by
 * itself where it sees KVM or Hyper-V, so on the targets it makes no difference.
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

/* First words of the lines that hold a kernel's arguments: in grub.cfg, in a boot loader entry. */
static const char *const grub_words[] = {"linux", "linux16", "linuxefi", NULL};
static const char *const entry_words[] = {"options", NULL};

static bool is_kernel_line(const char *line, size_t bytes, const char *const *words)
{
	size_t start = 0, end;

	while (start < bytes && (line[start] == ' ' || line[start] == '\t'))
		start++;
	for (end = start; end < bytes && line[end] != ' ' && line[end] != '\t';)
		end++;
	for (; *words; words++)
		if (end - start == strlen(*words) && !memcmp(line + start, *words, end - start))
			return end < bytes;
	return false;
}

static struct err *calm_timer_in(struct plan *plan, const char *path, const char *const *words)
{
	CLEANUP_FREE char *old = NULL;
	CLEANUP_TEXT struct text new = {0};
	size_t old_bytes;

	TRY(plan_read(plan, path, &old, &old_bytes));
	for (const char *line = old, *end = old + (old ? old_bytes : 0); line < end;) {
		const char *newline = memchr(line, '\n', end - line);
		size_t bytes = newline ? (size_t)(newline - line) : (size_t)(end - line);

		text_add(&new, line, bytes);
		if (is_kernel_line(line, bytes, words))
			text_addf(&new, " no_timer_check");
		if (newline)
			text_add(&new, "\n", 1);
		line += bytes + !!newline;
	}
	if (!new.bytes)
		return NULL;
	return plan_write(plan, path, new.data, new.bytes, "an emulated timer must not be measured");
}

static struct err *calm_timer(const struct inspection *inspection, struct plan *plan)
{
	static const char entries[] = "/boot/loader/entries";
	CLEANUP_STRV struct strv names = {0};

	if (inspection->boot.loader != BOOT_LOADER_GRUB2)
		return NULL;
	if (inspection->boot.config)
		TRY(calm_timer_in(plan, inspection->boot.config, grub_words));
	TRY(plan_list(plan, entries, &names));
	for (size_t i = 0; i < names.count; i++) {
		CLEANUP_FREE char *path = xasprintf("%s/%s", entries, names.items[i]);

		if (str_ends_with(path, ".conf"))
			TRY(calm_timer_in(plan, path, entry_words));
	}
	return NULL;
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
	TRY(calm_timer(inspection, plan));
	return note_selinux(plan);
}
