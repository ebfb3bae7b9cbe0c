/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Boot loader configurations of real machines.  In each, every device name gets
 * a stable one that can be told back; putting the old names back must give the
 * file as it was, and no old name may be left on a line that counts.  Then every
 * fix runs on every file, twice: nothing breaks, and the second time finds
 * nothing to do.
 */
#include <ctype.h>
#include <dirent.h>
#include <fnmatch.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "p2v/base/mem.h"
#include "p2v/guest/devname.h"
#include "tests/base/lib-must.h"
#include "tests/boot-fix/lib-server.h"

#define PARTITIONS 16

/* Where files of the corpora belong in a guest. */
static const struct {
	const char *dir, *files, *path;
} places[] = {
	{"linux-config/grubby", "grub2.*", "/boot/grub2/grub.cfg"},
	{"linux-config/grubby", "grub.[0-9]*", "/boot/grub/grub.conf"},
	{"linux-config/grubby", "grub.[0-9]*", "/boot/grub/menu.lst"},
	{"linux-config/grubby", "extlinux.*", "/boot/extlinux/extlinux.conf"},
	{"linux-config/grubby", "*lilo.*", "/boot/grub/grub.cfg"},
	{"linux-config/grubby/grub2-support_files", "grubenv.*", "/boot/grub2/grubenv"},
	{"linux-config/insights/grub_conf", "GRUB2*", "/boot/grub/grub.cfg"},
	{"linux-config/insights/grub_conf", "GRUB1*", "/boot/grub/grub.conf"},
	{"linux-config/insights/grub_conf", "BOOT_LOADER*", "/boot/loader/entries/x.conf"},
	{"linux-config/insights/grub_conf_efi", "*", "/boot/efi/EFI/redhat/grub.cfg"},
	{"linux-config/insights/grubenv", "*", "/boot/grub2/grubenv"},
	{"linux-config/insights/sysconfig_grub", "*", "/etc/default/grub"},
	{"linux-config/insights/fstab", "*", "/etc/fstab"},
	{"linux-config/insights/udev_rules", "*", "/etc/udev/rules.d/70-x.rules"},
	{"linux-config/insights/ifcfg", "*", "/etc/sysconfig/network-scripts/ifcfg-enp3s0"},
	{"linux-config/insights/lvm_conf", "*", "/etc/lvm/lvm.conf"},
	{"linux-config/insights/lvm", "LVM_CONF*", "/etc/lvm/lvm.conf"},
	{"linux-config/insights/lvm", "SYSTEM_DEVICES*", "/etc/lvm/devices/system.devices"},
	{"linux-config/insights/mdadm", "*", "/etc/mdadm/mdadm.conf"},
	{"linux-config/insights/modprobe", "*", "/etc/modprobe.d/x.conf"},
	{"linux-config/insights/networkmanager_config", "*", "/etc/NetworkManager/system-connections/x"},
};

/* A machine that has every disk which the text names, with PARTITIONS partitions each. */
struct anything {
	struct server server;
	struct guest_disk_name *names;
	size_t name_count, name_capacity;
	struct guest_volume *volumes;
	size_t volume_count, volume_capacity;
};

static void add_disk(struct anything *machine, const char *name)
{
	int disk = (int)machine->name_count;

	for (size_t i = 0; i < machine->name_count; i++)
		if (!strcmp(machine->names[i].name, name))
			return;
	array_grow(machine->names, machine->name_count, machine->name_capacity);
	machine->names[machine->name_count++] = (struct guest_disk_name){xstrdup(name), disk};
	for (unsigned partition = 0; partition < PARTITIONS; partition++) {
		array_grow(machine->volumes, machine->volume_count, machine->volume_capacity);
		machine->volumes[machine->volume_count++] = (struct guest_volume){
			.device = xasprintf("/dev/disk%d-%u", disk, partition),
			.disk = disk,
			.partition = partition,
			.uuid = xasprintf("fs-%d-%u-", disk, partition),
			.partuuid = xasprintf("part-%d-%u-", disk, partition),
		};
	}
}

static void anything_init(struct anything *machine, const char *text)
{
	memset(machine, 0, sizeof *machine);
	server_init(&machine->server);
	for (const char *at = strstr(text, "/dev/"); at; at = strstr(at + 1, "/dev/")) {
		CLEANUP_FREE char *name = xstrndup(at, strcspn(at, " \t\r\n\"',:;*[]()|"));
		CLEANUP_DEVNAME struct devname parsed;

		devname_parse(name, &parsed);
		if (parsed.kind == DEVNAME_KERNEL)
			add_disk(machine, parsed.value);
	}
	machine->server.inspection.disk_names = machine->names;
	machine->server.inspection.disk_name_count = machine->name_count;
	machine->server.inspection.volumes = machine->volumes;
	machine->server.inspection.volume_count = machine->volume_count;
	machine->server.inspection.boot.esp_mount_point = "/boot/efi";
}

static void anything_deinit(struct anything *machine)
{
	for (size_t i = 0; i < machine->name_count; i++)
		free(machine->names[i].name);
	for (size_t i = 0; i < machine->volume_count; i++) {
		free(machine->volumes[i].device);
		free(machine->volumes[i].uuid);
		free(machine->volumes[i].partuuid);
	}
	free(machine->names);
	free(machine->volumes);
}

/* The text with the old names in place of the stable ones. */
static char *put_back(const struct anything *machine, const char *text)
{
	struct text out = {0};

	while (*text) {
		int disk, bytes = 0;
		unsigned partition;
		const char *name;

		if (sscanf(text, "UUID=fs-%d-%u-%n", &disk, &partition, &bytes) < 2 || !bytes)
			sscanf(text, "PARTUUID=part-%d-%u-%n", &disk, &partition, &bytes);
		if (!bytes) {
			text_add(&out, text++, 1);
			continue;
		}
		name = machine->names[disk].name;
		text_addf(&out, "/dev/%s", name);
		if (partition)
			text_addf(&out, "%s%u", isdigit((unsigned char)name[strlen(name) - 1]) ? "p" : "",
				  partition);
		text += bytes;
	}
	return text_take(&out);
}

static void expect_no_names(const char *file, const char *text)
{
	CLEANUP_STRV struct strv lines = {0};

	strv_split(&lines, text, "\n");
	for (size_t i = 0; i < lines.count; i++) {
		const char *line = lines.items[i], *at = strstr(line, "root=/dev/");
		const char *kopt = strstr(line, "# kopt");

		if (!at || (line[strspn(line, " \t")] == '#' && kopt != line))
			continue;

		CLEANUP_FREE char *name = xstrndup(at + 5, strcspn(at + 5, " \t\"'"));
		if (inspect_name_is_fragile(name))
			fail_msg("%s: a name is left: %s", file, line);
	}
}

/* Only names change, and all of them.  Returns whether any did. */
static bool check_names(const char *file, const char *path, const char *text)
{
	const struct tree_entry before[] = {{path, text}, {NULL}};
	CLEANUP_TREE struct tree *tree = tree_create(before);
	CLEANUP_PLAN struct plan *plan = plan_create(tree->guest);
	struct anything machine;
	size_t text_bytes = strlen(text), bytes = 0;
	CLEANUP_FREE char *after = NULL;

	anything_init(&machine, text);
	must(find_fix("kernel-names")->plan(&machine.server.context, plan));
	must(plan_read(plan, path, &after, &bytes));

	CLEANUP_FREE char *back = put_back(&machine, after);
	anything_deinit(&machine);
	while (str_ends_with(path, "/grubenv") && text_bytes && strchr("#\n", text[text_bytes - 1]))
		text_bytes--; /* its padding makes up for the difference */
	if (strncmp(back, text, text_bytes))
		fail_msg("%s: more than names changed:\n%s", file, back);
	if (!str_ends_with(path, "/grubenv") && !str_ends_with(path, "fstab"))
		expect_no_names(file, after);
	return !plan_is_empty(plan);
}

/* Every fix: no error, and nothing to do on the result. */
static void check_all_fixes(const char *file, const char *path, const char *text)
{
	const struct tree_entry before[] = {{path, text}, {NULL}};
	CLEANUP_TREE struct tree *tree = tree_create(before);
	CLEANUP_PLAN struct plan *plan = plan_create(tree->guest);
	CLEANUP_PLAN struct plan *again = NULL;
	struct anything machine;

	anything_init(&machine, text);
	must(boot_fix_plan(&machine.server.context, plan));
	must(plan_apply(plan, NULL));
	again = plan_create(tree->guest);
	must(boot_fix_plan(&machine.server.context, again));
	anything_deinit(&machine);
	if (!plan_is_empty(again)) {
		CLEANUP_TEXT struct text diff = {0};

		must(plan_format(again, &diff));
		fail_msg("%s: a second run plans\n%s", file, diff.data);
	}
}

static unsigned run_place(size_t place, unsigned *changed)
{
	CLEANUP_FREE char *dir_path = corpus_path(places[place].dir);
	bool names_devices =
		strstr(places[place].path, "/boot/") || strstr(places[place].path, "default/grub");
	const struct dirent *entry;
	unsigned count = 0;
	DIR *dir;

	assert_non_null(dir_path);
	dir = opendir(dir_path);
	assert_non_null(dir);
	while ((entry = readdir(dir))) {
		CLEANUP_FREE char *file = xasprintf("%s/%s", dir_path, entry->d_name);
		size_t bytes;
		CLEANUP_FREE char *text = NULL;

		if (entry->d_type == DT_DIR || fnmatch(places[place].files, entry->d_name, FNM_PERIOD))
			continue;
		text = read_host(file, &bytes);
		assert_non_null(text);
		if (names_devices && fnmatch("*lilo*", places[place].files, 0))
			*changed += check_names(file, places[place].path, text);
		check_all_fixes(file, places[place].path, text);
		count++;
	}
	closedir(dir);
	return count;
}

static void test_corpora(void **state)
{
	unsigned count = 0, changed = 0;
	CLEANUP_FREE char *found = corpus_path("linux-config");

	(void)state;
	if (!found) {
		print_message("skipped: no corpora here (P2V_CORPORA)\n");
		skip();
	}
	for (size_t i = 0; i < sizeof places / sizeof *places; i++)
		count += run_place(i, &changed);
	print_message("%u files, %u of them with device names\n", count, changed);
	assert_true(count > 100);
	assert_true(changed > 20);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_corpora)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
