/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The formats differ only in where on a line the command line stands and how it
 * is quoted; each is a row of a table.  Menu entries whose image is not Linux
 * are not matched by any.  Not visited: LILO, whose map holds what its
 * configuration said when it was last run, and unified kernel images, whose
 * command line is signed.
 */
#include "boot-fix/bootconfig.h"

#include <fnmatch.h>
#include <string.h>

#include "boot-fix/edit.h"
#include "p2v/base/mem.h"

#define BLANKS " \t\r"

/* Where the command line is on a line. */
struct place {
	struct span span;
	bool is_setting; /* of a tool, for entries of all kinds: not an entry itself */
	bool is_shell; /* the span is an assignment's value */
	struct shell_value assignment;
};

struct format {
	const char *const *patterns; /* of paths; "%" stands for the ESP's mount point */
	bool (*locate)(const char *line, struct place *ret_place);
	/* True if the entry that goes on in `rest` loads an initramfs; NULL: not to be told from there. */
	bool (*loads_initramfs)(const char *rest);
};

/* The first word of a line is one of the words (NULL-ended); *ret_end is where it ends. */
static bool starts_with_word(const char *line, const char *const *words, bool ignore_case, size_t *ret_end)
{
	size_t start = strspn(line, BLANKS), bytes = strcspn(line + start, BLANKS);

	for (; *words; words++) {
		int differs = ignore_case ? strncasecmp(line + start, *words, bytes)
					  : strncmp(line + start, *words, bytes);

		if (strlen(*words) == bytes && !differs) {
			*ret_end = start + bytes;
			return true;
		}
	}
	return false;
}

/* All behind the command; the image's name is a word that no editor knows. */
static struct span behind(const char *line, size_t at)
{
	return (struct span){.start = at, .end = strlen(line)};
}

/* True if a line that begins with a word of `wanted` comes before one that begins with a word of `ends`. */
static bool comes_before(const char *rest, const char *const *wanted, const char *const *ends)
{
	while (*rest) {
		size_t bytes = strcspn(rest, "\n"), end;
		CLEANUP_FREE char *line = xstrndup(rest, bytes);

		if (starts_with_word(line, wanted, true, &end))
			return true;
		if (starts_with_word(line, ends, true, &end))
			return false;
		rest += bytes + (rest[bytes] == '\n');
	}
	return false;
}

static bool locate_grub2(const char *line, struct place *ret_place)
{
	static const char *const commands[] = {"linux",	 "linux16", "linuxefi", "linux_efi",
					       "module", "module2", NULL};
	static const char *const set[] = {"set", NULL};
	struct shell_value value;
	size_t at;

	if (starts_with_word(line, commands, false, &at)) {
		*ret_place = (struct place){.span = behind(line, at)};
		return true;
	}
	if (!starts_with_word(line, set, false, &at) || !edit_find_assignment(line + at, &value))
		return false;
	if (fnmatch("*kernelopts=*", line + at + value.name.start, 0))
		return false;
	value.name.start += at;
	value.name.end += at;
	value.value.start += at;
	value.value.end += at;
	*ret_place = (struct place){
		.span = value.value, .is_setting = true, .is_shell = true, .assignment = value};
	return true;
}

static bool grub2_loads_initramfs(const char *rest)
{
	static const char *const initrd[] = {"initrd", "initrd16", "initrdefi", "initrd_efi",
					     "module", "module2",  NULL};
	static const char *const ends[] = {"}", "menuentry", "linux", "linux16", "linuxefi", NULL};

	return comes_before(rest, initrd, ends);
}

static bool locate_legacy(const char *line, struct place *ret_place)
{
	static const char *const commands[] = {"kernel", "module", NULL};
	/* update-grub's own settings stand in comments with exactly one blank. */
	static const char *const settings[] = {"# kopt*=*", "# defoptions=*", "# xenkopt=*", NULL};
	size_t at;

	if (starts_with_word(line, commands, false, &at)) {
		*ret_place = (struct place){.span = behind(line, at)};
		return true;
	}
	for (size_t i = 0; settings[i]; i++) {
		if (fnmatch(settings[i], line, 0))
			continue;
		*ret_place = (struct place){
			.span = {.start = strcspn(line, "=") + 1, .end = strlen(line)},
			.is_setting = true,
		};
		return true;
	}
	return false;
}

static bool legacy_loads_initramfs(const char *rest)
{
	static const char *const initrd[] = {"initrd", "module", "modulenounzip", NULL};
	static const char *const ends[] = {"title", "kernel", NULL};

	return comes_before(rest, initrd, ends);
}

static bool locate_entry(const char *line, struct place *ret_place)
{
	static const char *const options[] = {"options", NULL};
	size_t at;

	if (!starts_with_word(line, options, false, &at))
		return false;
	*ret_place = (struct place){.span = behind(line, at)};
	return true;
}

static bool locate_syslinux(const char *line, struct place *ret_place)
{
	static const char *const append[] = {"append", NULL};
	size_t at;

	if (!starts_with_word(line, append, true, &at))
		return false;
	*ret_place = (struct place){.span = behind(line, at)};
	return true;
}

static bool locate_default(const char *line, struct place *ret_place)
{
	static const char *const names[] = {"GRUB_CMDLINE_LINUX*", "U_BOOT_PARAMETERS", "U_BOOT_ROOT",
					    "EXTLINUX_PARAMETERS", "EXTLINUX_ROOT",	NULL};
	struct shell_value value;

	if (!edit_find_assignment(line, &value))
		return false;

	CLEANUP_FREE char *name = edit_piece(line, value.name);
	for (size_t i = 0; names[i]; i++) {
		if (fnmatch(names[i], name, 0))
			continue;
		*ret_place = (struct place){
			.span = value.value, .is_setting = true, .is_shell = true, .assignment = value};
		return true;
	}
	return false;
}

static bool locate_environment(const char *line, struct place *ret_place)
{
	size_t name_bytes = strcspn(line, "=");

	if (strncmp(line, "kernelopts=", name_bytes + 1) && strncmp(line, "tuned_params=", name_bytes + 1))
		return false;
	*ret_place = (struct place){.span = {.start = name_bytes + 1, .end = strlen(line)}};
	return true;
}

static bool locate_whole_line(const char *line, struct place *ret_place)
{
	if (line[strspn(line, BLANKS)] == '#')
		return false;
	*ret_place = (struct place){.span = {.start = 0, .end = strlen(line)}};
	return true;
}

static const char *const grub2_files[] = {
	"/boot/grub/grub.cfg",	  "/boot/grub/custom.cfg", "/boot/grub2/grub.cfg",
	"/boot/grub2/custom.cfg", "/boot/grub2/user.cfg",  "%/EFI/*/grub.cfg",
	"%/EFI/*/custom.cfg",	  "/etc/grub.d/*",	   NULL};
static const char *const legacy_files[] = {"/boot/grub/menu.lst", "/boot/grub/grub.conf", "%/EFI/*/grub.conf",
					   NULL};
static const char *const entry_files[] = {"/boot/loader/entries/*.conf", "/efi/loader/entries/*.conf",
					  "%/loader/entries/*.conf", NULL};
static const char *const default_files[] = {"/etc/default/grub", "/etc/default/grub.d/*.cfg",
					    "/etc/default/u-boot", "/etc/default/extlinux", NULL};
static const char *const environment_files[] = {"/boot/grub/grubenv", "/boot/grub2/grubenv",
						"%/EFI/*/grubenv", NULL};
static const char *const cmdline_files[] = {"/etc/kernel/cmdline", "/etc/kernel/cmdline.d/*.conf", NULL};
static const char *const syslinux_files[] = {"/boot/extlinux/*.conf",	"/boot/extlinux/*.cfg",
					     "/extlinux/extlinux.conf", "/boot/syslinux/*.cfg",
					     "/boot/extlinux.conf",	NULL};

static const struct format formats[] = {
	{grub2_files, locate_grub2, grub2_loads_initramfs},
	{legacy_files, locate_legacy, legacy_loads_initramfs},
	{entry_files, locate_entry, NULL},
	{default_files, locate_default, NULL},
	{environment_files, locate_environment, NULL},
	{cmdline_files, locate_whole_line, NULL},
	{syslinux_files, locate_syslinux, NULL},
};

struct err *bootconfig_expand(const struct fix_context *context, struct plan *plan, const char *pattern,
			      struct strv *paths)
{
	const char *esp = context->inspection->boot.esp_mount_point;

	if (*pattern != '%')
		return edit_expand(plan, pattern, paths);
	if (!esp)
		return NULL;

	CLEANUP_FREE char *path = xasprintf("%s%s", esp, pattern + 1);
	return edit_expand(plan, path, paths);
}

/* Several patterns can lead to one file (the ESP may be mounted on /boot): each is listed once. */
static struct err *list_format(const struct fix_context *context, struct plan *plan,
			       const struct format *format, struct strv *paths)
{
	CLEANUP_STRV struct strv found = {0};

	for (const char *const *pattern = format->patterns; *pattern; pattern++)
		TRY(bootconfig_expand(context, plan, *pattern, &found));
	for (size_t i = 0; i < found.count; i++)
		if (!strv_has(paths, found.items[i]))
			strv_add(paths, found.items[i]);
	return NULL;
}

struct visit {
	const struct fix_context *context;
	const struct format *format;
	const struct bootconfig_editor *editor;
	void *arg;
};

static unsigned place_flags(const struct visit *visit, const struct place *place, const char *rest)
{
	const struct inspection *inspection = visit->context->inspection;

	if (visit->format->loads_initramfs && !place->is_setting)
		return visit->format->loads_initramfs(rest) ? 0 : BOOTCONFIG_NO_INITRAMFS;
	for (size_t i = 0; i < inspection->kernel_count; i++)
		if (inspection->kernels[i].initramfs)
			return 0;
	return inspection->kernel_count ? BOOTCONFIG_NO_INITRAMFS : 0;
}

static char *edit_line(void *arg, const char *line, const char *rest)
{
	const struct visit *visit = arg;
	CLEANUP_CMDLINE struct cmdline cmdline = {0};
	struct place place = {0};

	if (!visit->format->locate(line, &place))
		return NULL;

	CLEANUP_FREE char *text = edit_piece(line, place.span);
	cmdline_parse(text, &cmdline);
	if (!visit->editor->edit(visit->arg, place_flags(visit, &place, rest), &cmdline))
		return NULL;

	CLEANUP_FREE char *edited = cmdline_format(&cmdline);
	if (place.is_shell)
		return edit_replace_value(line, &place.assignment, edited);
	return edit_replace_piece(line, place.span, edited);
}

/* GRUB reads an environment block only in its fixed size, filled up with '#' (grub-core/lib/envblk.c). */
static struct err *write_environment(struct plan *plan, const char *path, const char *edited,
				     size_t block_bytes, const char *reason)
{
	CLEANUP_TEXT struct text block = {0};
	size_t bytes = strlen(edited);

	while (bytes && edited[bytes - 1] == '#')
		bytes--;
	if (bytes > block_bytes) {
		plan_add_finding(plan, FINDING_WARNING,
				 "%s has no room for stable device names: run grub-editenv in the machine, "
				 "as %s",
				 path, reason);
		return NULL;
	}
	text_add(&block, edited, bytes);
	while (block.bytes < block_bytes)
		text_add(&block, "#", 1);
	return plan_write(plan, path, block.data, block.bytes, "%s", reason);
}

static struct err *visit_file(struct visit *visit, struct plan *plan, const char *path)
{
	CLEANUP_FREE char *data = NULL;
	size_t bytes = 0;

	TRY(plan_read(plan, path, &data, &bytes));
	if (!data)
		return NULL;
	if (visit->editor->begin)
		visit->editor->begin(visit->arg, path);

	CLEANUP_FREE char *edited = edit_lines(data, bytes, edit_line, visit);
	if (!edited)
		return NULL;

	CLEANUP_FREE char *reason = visit->editor->reason(visit->arg);
	if (visit->format->patterns == environment_files)
		return write_environment(plan, path, edited, bytes, reason);
	return plan_write(plan, path, edited, strlen(edited), "%s", reason);
}

struct err *bootconfig_edit(const struct fix_context *context, struct plan *plan,
			    const struct bootconfig_editor *editor, void *arg)
{
	for (size_t i = 0; i < sizeof formats / sizeof *formats; i++) {
		struct visit visit = {context, &formats[i], editor, arg};
		CLEANUP_STRV struct strv paths = {0};

		TRY(list_format(context, plan, &formats[i], &paths));
		for (size_t j = 0; j < paths.count; j++)
			TRY(visit_file(&visit, plan, paths.items[j]));
	}
	return NULL;
}
