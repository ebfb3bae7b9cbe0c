/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Device names: udev(7), Documentation/admin-guide/devices.txt of Linux for the
 * kernel's own names, and lvm(8) for the escapes of mapper names.
 */
#include "p2v/guest/devname.h"

#include <ctype.h>
#include <string.h>

#include "p2v/base/mem.h"
#include "p2v/base/strv.h"

void devname_deinit(struct devname *name)
{
	free(name->value);
	*name = (struct devname){0};
}

/* How a driver numbers its disks: 'a' letters, '9' a number, anything else itself.  A disk whose name ends
 * in a digit has a 'p' before the partition. */
static const char *const disk_patterns[] = {
	"sda",	      "hda",	  "vda",     "xvda",	   "ubda",    "nvme9n9", "mmcblk9",
	"cciss/c9d9", "ida/c9d9", "rd/c9d9", "ataraid/d9", "i2o/hda", "nbd9",	 "pmem9",
};

/* Length of what the pattern matches at the start of name, 0 if it does not. */
static size_t match_disk(const char *pattern, const char *name)
{
	const char *at = name;

	for (; *pattern; pattern++) {
		/* Only the last letter of a pattern counts disks. */
		if (*pattern == '9' || (*pattern == 'a' && !pattern[1])) {
			int (*is_wanted)(int) = *pattern == '9' ? isdigit : islower;

			if (!is_wanted((unsigned char)*at))
				return 0;
			while (is_wanted((unsigned char)*at))
				at++;
		} else if (*at++ != *pattern) {
			return 0;
		}
	}
	return (size_t)(at - name);
}

/* "" is 0; false if it is no number. */
static bool parse_partition(const char *text, unsigned *ret_partition)
{
	*ret_partition = 0;
	if (!*text)
		return true;
	if (strlen(text) > 4 || text[strspn(text, "0123456789")])
		return false;
	*ret_partition = (unsigned)strtoul(text, NULL, 10);
	return *ret_partition > 0;
}

/* name is without "/dev/". */
static bool parse_kernel_name(const char *name, struct devname *ret_name)
{
	for (size_t i = 0; i < sizeof disk_patterns / sizeof *disk_patterns; i++) {
		size_t bytes = match_disk(disk_patterns[i], name);
		const char *rest = name + bytes;

		if (bytes == 0)
			continue;
		if (isdigit((unsigned char)rest[-1]) && *rest) {
			if (*rest++ != 'p' || !*rest)
				continue;
		}
		if (!parse_partition(rest, &ret_name->partition))
			continue;
		ret_name->kind = DEVNAME_KERNEL;
		ret_name->value = xstrndup(name, bytes);
		return true;
	}
	return false;
}

/* Takes "-partN" off: by-id, by-path, multipath maps. */
static void set_hardware_name(const char *name, struct devname *ret_name)
{
	const char *part = strstr(name, "-part");

	ret_name->kind = DEVNAME_HARDWARE;
	if (part && parse_partition(part + 5, &ret_name->partition) && ret_name->partition) {
		ret_name->value = xstrndup(name, (size_t)(part - name));
		return;
	}
	ret_name->partition = 0;
	ret_name->value = xstrdup(name);
}

/* "vg--a-lv": a hyphen that belongs to a name is doubled, a single one divides. */
static char *demangle_lvm(const char *mapper_name)
{
	struct text vg = {0};
	struct text lv = {0};
	struct text *part = &vg;
	unsigned dividers = 0;
	char *path = NULL;

	for (const char *at = mapper_name; *at; at++) {
		if (at[0] == '-' && at[1] == '-') {
			text_add(part, at++, 1);
		} else if (at[0] == '-') {
			part = &lv;
			dividers++;
		} else {
			text_add(part, at, 1);
		}
	}
	if (dividers == 1 && vg.bytes && lv.bytes)
		path = xasprintf("/dev/%s/%s", vg.data, lv.data);
	text_deinit(&vg);
	text_deinit(&lv);
	return path;
}

static bool is_multipath_name(const char *name)
{
	/* "mpatha", or the WWID: NAA 2, 3, 5 or 6 behind the type digit (scsi_id(8)). */
	return str_starts_with(name, "mpath") ||
	       (strchr("123", name[0]) && strspn(name, "0123456789abcdef") >= 17);
}

/* "mpatha1" and "mpathap1": the partition without "-part". */
static bool parse_multipath_alias(const char *name, struct devname *ret_name)
{
	size_t map_bytes = strspn(name, "abcdefghijklmnopqrstuvwxyz");

	if (!str_starts_with(name, "mpath") || !name[map_bytes] ||
	    !parse_partition(name + map_bytes, &ret_name->partition))
		return false;
	if (map_bytes > strlen("mpatha") && name[map_bytes - 1] == 'p')
		map_bytes--;
	ret_name->kind = DEVNAME_HARDWARE;
	ret_name->value = xasprintf("mapper/%.*s", (int)map_bytes, name);
	return true;
}

static void parse_mapper_name(const char *name, struct devname *ret_name)
{
	CLEANUP_FREE char *full = xasprintf("mapper/%s", name);

	if (parse_multipath_alias(name, ret_name))
		return;
	if (is_multipath_name(name)) {
		set_hardware_name(full, ret_name);
		return;
	}
	ret_name->value = demangle_lvm(name);
	ret_name->kind = DEVNAME_LOGICAL_VOLUME;
	if (!ret_name->value) {
		ret_name->kind = DEVNAME_OTHER;
		ret_name->value = xasprintf("/dev/%s", full);
	}
}

/* udev writes what a name must not hold as \x20. */
static char *decode_udev(const char *name)
{
	struct text plain = {0};

	for (; *name; name++) {
		unsigned code;
		char c;

		if (sscanf(name, "\\x%2x", &code) == 1 && isxdigit((unsigned char)name[2]) &&
		    isxdigit((unsigned char)name[3])) {
			c = (char)code;
			name += 3;
		} else {
			c = *name;
		}
		text_add(&plain, &c, 1);
	}
	return text_take(&plain);
}

/* name is without "/dev/disk/". */
static void parse_disk_link(const char *name, struct devname *ret_name)
{
	static const struct {
		const char *start;
		enum devname_kind kind;
	} links[] = {
		{"by-uuid/", DEVNAME_UUID},
		{"by-label/", DEVNAME_LABEL},
		{"by-partuuid/", DEVNAME_PARTUUID},
		{"by-partlabel/", DEVNAME_PARTLABEL},
	};
	CLEANUP_FREE char *full = xasprintf("disk/%s", name);

	for (size_t i = 0; i < sizeof links / sizeof *links; i++) {
		if (str_starts_with(name, links[i].start)) {
			ret_name->kind = links[i].kind;
			ret_name->value = decode_udev(name + strlen(links[i].start));
			return;
		}
	}
	if (str_starts_with(name, "by-id/dm-name-")) {
		parse_mapper_name(name + strlen("by-id/dm-name-"), ret_name);
	} else if (str_starts_with(name, "by-id/lvm-pv-uuid-") || str_starts_with(name, "by-id/md-")) {
		ret_name->kind = DEVNAME_OTHER;
		ret_name->value = xasprintf("/dev/%s", full);
	} else {
		set_hardware_name(full, ret_name);
	}
}

static bool parse_tag(const char *name, struct devname *ret_name)
{
	static const struct {
		const char *tag;
		enum devname_kind kind;
	} tags[] = {
		{"UUID=", DEVNAME_UUID},
		{"LABEL=", DEVNAME_LABEL},
		{"PARTUUID=", DEVNAME_PARTUUID},
		{"PARTLABEL=", DEVNAME_PARTLABEL},
	};

	for (size_t i = 0; i < sizeof tags / sizeof *tags; i++) {
		const char *value = name + strlen(tags[i].tag);
		size_t bytes;

		if (strncasecmp(name, tags[i].tag, strlen(tags[i].tag)) != 0)
			continue;
		bytes = strlen(value);
		if (bytes >= 2 && (value[0] == '"' || value[0] == '\'') && value[bytes - 1] == value[0]) {
			value++;
			bytes -= 2;
		}
		ret_name->kind = tags[i].kind;
		ret_name->value = xstrndup(value, bytes);
		return true;
	}
	return false;
}

/* "vg/lv" without a third part, where the kernel has no folder of that name. */
static bool is_logical_volume_name(const char *name)
{
	static const char *const folders[] = {"md/",	"mapper/",  "disk/",  "dm/",   "block/",
					      "input/", "net/",	    "nbd/",   "zvol/", "drbd/",
					      "loop/",	"floppy/",  "cciss/", "ida/",  "rd/",
					      "i2o/",	"ataraid/", "pts/",   "shm/",  "snd/"};
	const char *slash = strchr(name, '/');

	if (!slash || slash == name || !slash[1] || strchr(slash + 1, '/'))
		return false;
	for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) {
		if (str_starts_with(name, folders[i]))
			return false;
	}
	return true;
}

void devname_parse(const char *name, struct devname *ret_name)
{
	*ret_name = (struct devname){.kind = DEVNAME_NONE};
	if (parse_tag(name, ret_name))
		return;
	if (!str_starts_with(name, "/dev/"))
		return;
	name += strlen("/dev/");
	if (str_starts_with(name, "disk/")) {
		parse_disk_link(name + strlen("disk/"), ret_name);
	} else if (str_starts_with(name, "mapper/")) {
		parse_mapper_name(name + strlen("mapper/"), ret_name);
	} else if (is_logical_volume_name(name)) {
		ret_name->kind = DEVNAME_LOGICAL_VOLUME;
		ret_name->value = xasprintf("/dev/%s", name);
	} else if (!parse_kernel_name(name, ret_name)) {
		ret_name->kind = DEVNAME_OTHER;
		ret_name->value = xasprintf("/dev/%s", name);
	}
}
