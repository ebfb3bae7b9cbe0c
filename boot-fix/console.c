/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Consoles that the virtual machine has.
 *
 * A server's second serial port is often the one that its management board
 * passes on.  A virtual machine has the first at most: consoles on others move
 * there.  The kernel believes in a port that is not there, and if it is the last
 * console=, then /dev/console is a hole: no passphrase can be typed, no emergency
 * shell is seen.  So the screen is added where only serial ports are set, behind
 * them, and goes last where the machine has no serial port (Hyper-V generation
 * 2).  Otherwise settings that have the screen keep their order, and quiet,
 * video= and nomodeset are left: none of them makes a machine unreachable.
 */
#include <stdint.h>
#include <string.h>

#include "boot-fix/bootconfig.h"
#include "boot-fix/edit.h"
#include "boot-fix/fixes.h"
#include "p2v/base/mem.h"

#define FIRST_PORT "ttyS0"

static bool is_screen(const char *console)
{
	return str_starts_with(console, "tty") && console[3] >= '0' && console[3] <= '9';
}

/* "ttyS1,115200n8" */
static bool is_port(const char *console)
{
	return str_starts_with(console, "ttyS") && console[4] >= '0' && console[4] <= '9';
}

static bool is_first_port(const char *console)
{
	return str_starts_with(console, FIRST_PORT) && strchr(",", console[strlen(FIRST_PORT)]);
}

struct editing {
	bool has_no_port; /* the machine, not one at all */
	struct strv reasons; /* for the current file */
};

static void begin_file(void *arg, const char *path)
{
	struct editing *editing = arg;

	(void)path;
	strv_deinit(&editing->reasons);
}

static void add_reason(struct editing *editing, const char *reason)
{
	if (!strv_has(&editing->reasons, reason))
		strv_add(&editing->reasons, reason);
}

/* The word's console=, NULL if it is none. */
static char *console_at(const struct cmdline *cmdline, size_t i)
{
	return cmdline_value(cmdline, i, "console");
}

/* Consoles on ports that no virtual machine has become the first port, with their speed. */
static bool move_ports(struct editing *editing, struct cmdline *cmdline)
{
	bool has_first = false, changed = false;

	for (size_t i = 0; i < cmdline->count; i++) {
		CLEANUP_FREE char *console = console_at(cmdline, i);

		has_first = has_first || (console && is_first_port(console));
	}
	for (size_t i = 0; i < cmdline->count; i++) {
		CLEANUP_FREE char *console = console_at(cmdline, i);

		if (!console || !is_port(console) || is_first_port(console))
			continue;

		size_t port_bytes = strcspn(console, ",");
		CLEANUP_FREE char *moved = xasprintf("%s%s", FIRST_PORT, console + port_bytes);
		CLEANUP_FREE char *reason = xasprintf("a virtual machine has no serial port %.*s, at most %s",
						      (int)port_bytes, console, FIRST_PORT);
		if (has_first)
			cmdline_remove(cmdline, i--);
		else
			cmdline_set_value(cmdline, i, moved);
		add_reason(editing, reason);
		has_first = changed = true;
	}
	return changed;
}

static bool add_screen_console(struct editing *editing, struct cmdline *cmdline)
{
	size_t behind_ports = 0, screen = SIZE_MAX;

	for (size_t i = 0; i < cmdline->count; i++) {
		CLEANUP_FREE char *console = console_at(cmdline, i);

		if (console && is_screen(console))
			screen = i;
		else if (console && is_port(console))
			behind_ports = i + 1;
		else if (console)
			return false; /* something else that the administrator knows better */
	}
	if (!behind_ports || (screen != SIZE_MAX && (screen >= behind_ports || !editing->has_no_port)))
		return false;
	cmdline_insert(cmdline, behind_ports,
		       screen == SIZE_MAX ? "console=tty0" : cmdline->words[screen].text);
	if (screen != SIZE_MAX)
		cmdline_remove(cmdline, screen);
	add_reason(editing,
		   screen == SIZE_MAX
			   ? "messages and prompts went to a serial port alone, and the screen was mute"
			   : "prompts went to a serial port, of which a generation 2 machine has none");
	return true;
}

static bool edit_cmdline(void *arg, unsigned flags, struct cmdline *cmdline)
{
	bool moved = move_ports(arg, cmdline);

	(void)flags;
	return add_screen_console(arg, cmdline) || moved;
}

static char *cmdline_reason(void *arg)
{
	struct editing *editing = arg;
	CLEANUP_TEXT struct text text = {0};

	for (size_t i = 0; i < editing->reasons.count; i++)
		text_addf(&text, "%s%s", i ? "; " : "", editing->reasons.items[i]);
	return text_take(&text);
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

/* A login on a port that is not there fails and is started again; nothing else comes of it. */
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
	struct editing editing = {
		.has_no_port =
			context->targets & TARGET_HYPERV && context->machine->firmware == FIRMWARE_UEFI,
	};
	struct err *err = bootconfig_edit(context, plan, &editor, &editing);

	strv_deinit(&editing.reasons);
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
