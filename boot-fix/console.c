/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A screen to look at.
 *
 * A server that talks to its serial port alone is mute in a virtual machine:
 * the port may be missing (Hyper-V generation 2), or exist with nobody behind
 * it (generation 1).  So where only serial consoles are set, the screen is
 * added, behind them: the last console= is /dev/console, where an initramfs
 * asks for a passphrase and the emergency shell appears.  The serial ports keep
 * their messages and their login.  Settings that have the screen already are
 * left in their order, and so are quiet, video= and nomodeset: none of them
 * makes a machine unreachable.
 */
#include <string.h>

#include "boot-fix/bootconfig.h"
#include "boot-fix/edit.h"
#include "boot-fix/fixes.h"
#include "p2v/base/mem.h"

static bool is_serial(const char *console)
{
	return str_starts_with(console, "ttyS") || str_starts_with(console, "ttyUSB") ||
	       str_starts_with(console, "uart");
}

static bool is_screen(const char *console)
{
	return str_starts_with(console, "tty") && console[3] >= '0' && console[3] <= '9';
}

struct editing {
	char *serial; /* the last serial console of the current file */
};

static void begin_file(void *arg, const char *path)
{
	struct editing *editing = arg;

	(void)path;
	free(editing->serial);
	editing->serial = NULL;
}

static bool edit_cmdline(void *arg, unsigned flags, struct cmdline *cmdline)
{
	struct editing *editing = arg;
	size_t behind = 0;

	(void)flags;
	for (size_t i = 0; i < cmdline->count; i++) {
		CLEANUP_FREE char *console = cmdline_value(cmdline, i, "console");

		if (!console)
			continue;
		if (!is_serial(console) || is_screen(console))
			return false;
		behind = i + 1;
		free(editing->serial);
		editing->serial = xstrndup(console, strcspn(console, ","));
	}
	if (!behind)
		return false;
	cmdline_insert(cmdline, behind, "console=tty0");
	return true;
}

static char *cmdline_reason(void *arg)
{
	struct editing *editing = arg;

	return xasprintf(
		"messages and prompts went to the serial port %s alone, which a virtual machine may lack",
		editing->serial);
}

/* GRUB's terminals, a list of words: the screen goes in front where there is only a serial one. */
static char *add_screen(const char *terminals)
{
	if (!strstr(terminals, "serial") || strstr(terminals, "console") || strstr(terminals, "gfxterm") ||
	    strstr(terminals, "vga_text"))
		return NULL;
	return xasprintf("console %s", terminals);
}

static char *edit_terminal_setting(void *arg, const char *line, const char *rest)
{
	struct shell_value value;

	(void)arg;
	(void)rest;
	if (!edit_find_assignment(line, &value))
		return NULL;

	CLEANUP_FREE char *name = edit_piece(line, value.name);
	CLEANUP_FREE char *terminals = edit_piece(line, value.value);
	CLEANUP_FREE char *edited = str_starts_with(name, "GRUB_TERMINAL") ? add_screen(terminals) : NULL;
	return edited ? edit_replace_value(line, &value, edited) : NULL;
}

/* "terminal_output serial" in grub.cfg; with --append the screen stays anyway. */
static char *edit_terminal_command(void *arg, const char *line, const char *rest)
{
	size_t start = strspn(line, " \t"), bytes = strcspn(line + start, " \t");
	struct span terminals = {start + bytes + strspn(line + start + bytes, " \t"), strlen(line)};

	(void)arg;
	(void)rest;
	if (strncmp(line + start, "terminal_input", bytes) && strncmp(line + start, "terminal_output", bytes))
		return NULL;
	if (bytes < strlen("terminal_input") || line[terminals.start] == '-')
		return NULL;

	CLEANUP_FREE char *words = edit_piece(line, terminals);
	CLEANUP_FREE char *edited = add_screen(words);
	return edited ? edit_replace_piece(line, terminals, edited) : NULL;
}

/* GRUB legacy waits for a key on any of several terminals, so "serial" alone is made no list but taken
 * out: what is left is the screen. */
static char *edit_legacy_terminal(void *arg, const char *line, const char *rest)
{
	(void)arg;
	(void)rest;
	if (!str_starts_with(line, "terminal ") || !strstr(line, "serial") || strstr(line, "console"))
		return NULL;
	return edit_comment_out(line, "the menu was shown on the serial port alone");
}

static char *terminal_reason(void *arg)
{
	(void)arg;
	return xstrdup("the boot menu was shown on the serial port alone, which a virtual machine may lack");
}

/* A login on a port that is not there makes every boot wait; nothing else comes of it. */
static struct err *tell_gettys(struct plan *plan)
{
	static const char prefix[] = "serial-getty@ttyS";
	CLEANUP_STRV struct strv units = {0};

	TRY(plan_list(plan, "/etc/systemd/system/getty.target.wants", &units));
	for (size_t i = 0; i < units.count; i++) {
		const char *unit = units.items[i];

		if (str_starts_with(unit, prefix) && unit[strlen(prefix)] != '0')
			plan_add_finding(
				plan, FINDING_NOTE,
				"%s is enabled: a virtual machine rarely has that port, and every boot "
				"will look for it for 90 s; 'systemctl disable %s' ends that",
				unit, unit);
	}
	return NULL;
}

static struct err *plan_terminals(const struct fix_context *context, struct plan *plan)
{
	static const struct {
		const char *pattern;
		edit_line_fn edit;
	} files[] = {
		{"/etc/default/grub", edit_terminal_setting},
		{"/etc/default/grub.d/*.cfg", edit_terminal_setting},
		{"/boot/grub/grub.cfg", edit_terminal_command},
		{"/boot/grub/custom.cfg", edit_terminal_command},
		{"/boot/grub2/grub.cfg", edit_terminal_command},
		{"%/EFI/*/grub.cfg", edit_terminal_command},
		{"/boot/grub/menu.lst", edit_legacy_terminal},
		{"/boot/grub/grub.conf", edit_legacy_terminal},
	};

	for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
		CLEANUP_STRV struct strv paths = {0};

		TRY(bootconfig_expand(context, plan, files[i].pattern, &paths));
		for (size_t j = 0; j < paths.count; j++)
			TRY(edit_file(plan, paths.items[j], files[i].edit, NULL, terminal_reason));
	}
	return NULL;
}

static bool applies(const struct fix_context *context)
{
	(void)context;
	return true;
}

static struct err *plan_console(const struct fix_context *context, struct plan *plan)
{
	static const struct bootconfig_editor editor = {begin_file, edit_cmdline, cmdline_reason};
	struct editing editing = {NULL};
	struct err *err = bootconfig_edit(context, plan, &editor, &editing);

	free(editing.serial);
	TRY(err);
	TRY(plan_terminals(context, plan));
	return tell_gettys(plan);
}

const struct fix fix_console = {
	.name = "boot-fix/console",
	.summary = "messages and boot menu on the screen, not on a serial port alone",
	.applies = applies,
	.plan = plan_console,
};
