/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Runs fixes on trees: the plan is applied for real, and every file of the tree is compared. */
#include "tests/boot-fix/lib-server.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "p2v/base/mem.h"
#include "p2v/guest/plan.h"
#include "tests/base/lib-must.h"

static const struct guest_volume volumes[] = {
	{.device = "/dev/sda1",
	 .disk = 0,
	 .partition = 1,
	 .content = "ext4",
	 .uuid = UUID_ROOT,
	 .label = "root",
	 .partuuid = "c0ffee01-01",
	 .mount_point = "/"},
	{.device = "/dev/sda2",
	 .disk = 0,
	 .partition = 2,
	 .content = "swap",
	 .uuid = UUID_SWAP,
	 .partuuid = "c0ffee01-02",
	 .mount_point = "swap"},
	{.device = "/dev/sda3",
	 .disk = 0,
	 .partition = 3,
	 .content = "crypto_LUKS",
	 .uuid = UUID_LUKS,
	 .partuuid = "c0ffee01-03"},
	{.device = "/dev/sda4", .disk = 0, .partition = 4, .partuuid = PARTUUID_PLAIN},
	{.device = "/dev/sdb1",
	 .disk = 1,
	 .partition = 1,
	 .content = "xfs",
	 .uuid = UUID_SRV,
	 .label = "srv data",
	 .partuuid = "c0ffee02-01",
	 .mount_point = "/srv"},
	{.device = "/dev/sdb2",
	 .disk = 1,
	 .partition = 2,
	 .content = "LVM2_member",
	 .uuid = UUID_PV,
	 .partuuid = "c0ffee02-02"},
	{.device = "/dev/vg0/data",
	 .disk = 1,
	 .content = "ext4",
	 .uuid = UUID_DATA,
	 .mount_point = "/data",
	 .is_logical_volume = true},
	{.device = "/dev/sdc1",
	 .disk = 2,
	 .partition = 1,
	 .content = "linux_raid_member",
	 .uuid = UUID_RAID,
	 .partuuid = "c0ffee03-01"},
	{.device = "/dev/sdd1",
	 .disk = 3,
	 .partition = 1,
	 .content = "linux_raid_member",
	 .uuid = UUID_RAID,
	 .partuuid = "c0ffee04-01"},
	{.device = "/dev/sdc2",
	 .disk = 2,
	 .partition = 2,
	 .content = "ext4",
	 .uuid = UUID_TWIN,
	 .partuuid = "c0ffee03-02"},
	{.device = "/dev/sdd2",
	 .disk = 3,
	 .partition = 2,
	 .content = "ext4",
	 .uuid = UUID_TWIN,
	 .partuuid = "c0ffee04-02"},
	{.device = "/dev/sdd3", .disk = 3, .partition = 3, .content = "ext4", .label = "only-label"},
};

void server_init(struct server *server)
{
	memset(server, 0, sizeof *server);
	for (int disk = 0; disk < 4; disk++)
		server->disk_names[disk] =
			(struct guest_disk_name){(char *[]){"sda", "sdb", "sdc", "sdd"}[disk], disk};
	memcpy(server->volumes, volumes, sizeof volumes);
	server->kernels[0] =
		(struct guest_kernel){"6.1.0-35-amd64", "/boot/vmlinuz-6.1.0-35-amd64",
				      "/boot/initrd.img-6.1.0-35-amd64", "/lib/modules/6.1.0-35-amd64"};
	server->interfaces[0] = (struct guest_interface){
		.name = "enp3s0", .defined_in = "/etc/network/interfaces", .is_physical = true};
	server->interfaces[1] = (struct guest_interface){.name = "br0", .is_physical = false};
	server->nics[0] = (struct machine_nic){.name = "enp3s0", .mac = MAC_A};
	server->nics[1] = (struct machine_nic){.name = "eth1", .mac = MAC_B};
	server->inspection = (struct inspection){
		.os = {.id = "debian", .version = "12", .arch = "x86_64"},
		.boot = {.firmware = FIRMWARE_BIOS, .loader = BOOT_LOADER_GRUB2},
		.initramfs_tool = INITRAMFS_TOOLS,
		.has_systemd = true,
		.volumes = server->volumes,
		.volume_count = sizeof volumes / sizeof *volumes,
		.disk_names = server->disk_names,
		.disk_name_count = 4,
		.kernels = server->kernels,
		.kernel_count = 1,
		.interfaces = server->interfaces,
		.interface_count = 2,
		.leftovers = server->leftovers,
	};
	server->machine = (struct machine){
		.disks = server->disks, .disk_count = 4, .nics = server->nics, .nic_count = 1};
	server->context = (struct fix_context){
		.inspection = &server->inspection,
		.machine = &server->machine,
		.targets = TARGET_KVM | TARGET_HYPERV,
	};
}

const struct fix *find_fix(const char *name)
{
	for (const struct fix *const *fix = boot_fixes; *fix; fix++)
		if (!strcmp((*fix)->name + strlen("boot-fix/"), name))
			return *fix;
	fail_msg("no fix is called %s", name);
	return NULL;
}

static void run_fix(const struct server *server, const char *name, struct plan *plan)
{
	if (!name) {
		must(boot_fix_plan(&server->context, plan));
		return;
	}

	const struct fix *fix = find_fix(name);

	plan_set_author(plan, fix->name);
	if (fix->applies(&server->context))
		must(fix->plan(&server->context, plan));
}

static bool takes_finding(const json_t *finding, const char *expected)
{
	const char *severity = json_string_or(finding, "severity", "");

	return strstr(json_string_or(finding, "text", ""), expected + 1) &&
	       !strcmp(severity, expected[0] == '!' ? "warning" : "note");
}

static void expect_findings(const char *title, struct plan *plan, const char *const *expected)
{
	CLEANUP_JSON json_t *json = NULL;
	const json_t *findings, *finding;
	size_t i, count = 0;

	must(plan_to_json(plan, &json));
	findings = json_object_get(json, "findings");
	for (; expected && expected[count]; count++) {
		bool found = false;

		json_array_foreach (findings, i, finding)
			found = found || takes_finding(finding, expected[count]);
		if (!found)
			fail_msg("%s: not found: %s", title, expected[count]);
	}
	json_array_foreach (findings, i, finding)
		if (i >= count)
			fail_msg("%s: found as well: %s", title, json_string_or(finding, "text", ""));
}

static const struct tree_entry *entry_of(const struct tree_entry *entries, const char *path)
{
	for (; entries->path; entries++)
		if (!strcmp(entries->path, path))
			return entries;
	return NULL;
}

static void expect_content(const char *title, struct tree *tree, const char *path, const char *content)
{
	CLEANUP_FREE char *data = tree_read(tree, path);

	if (content && !data)
		fail_msg("%s: %s is gone", title, path);
	if (!content && data)
		fail_msg("%s: %s is still there", title, path);
	if (content && strcmp(content, data))
		fail_msg("%s: %s is\n%s\ninstead of\n%s", title, path, data, content);
}

static void expect_tree(const struct fix_case *fix_case, struct tree *tree)
{
	for (const struct tree_entry *entry = fix_case->before; entry->path; entry++)
		if (!entry_of(fix_case->after, entry->path) && !str_ends_with(entry->path, "/"))
			expect_content(fix_case->title, tree, entry->path, entry->content);
	for (const struct tree_entry *entry = fix_case->after; entry->path; entry++)
		expect_content(fix_case->title, tree, entry->path, entry->content);
}

/* Files in the plan that the case does not know of. */
static void expect_no_others(const struct fix_case *fix_case, struct plan *plan)
{
	CLEANUP_JSON json_t *json = NULL;
	const json_t *change;
	size_t i;

	must(plan_to_json(plan, &json));
	json_array_foreach (json_object_get(json, "changes"), i, change) {
		const char *path = json_string_or(change, "path", "");

		if (!entry_of(fix_case->after, path))
			fail_msg("%s: %s is changed as well", fix_case->title, path);
		if (!*json_string_or(change, "reason", ""))
			fail_msg("%s: %s is changed without a reason", fix_case->title, path);
	}
}

void fix_case_run(const struct server *server, const struct fix_case *fix_case)
{
	CLEANUP_TREE struct tree *tree = tree_create(fix_case->before);
	CLEANUP_PLAN struct plan *plan = plan_create(tree->guest);
	CLEANUP_PLAN struct plan *again = NULL;

	run_fix(server, fix_case->fix, plan);
	expect_findings(fix_case->title, plan, fix_case->findings);
	expect_no_others(fix_case, plan);
	must(plan_apply(plan, NULL));
	expect_tree(fix_case, tree);

	again = plan_create(tree->guest);
	run_fix(server, fix_case->fix, again);
	if (!plan_is_empty(again)) {
		CLEANUP_TEXT struct text text = {0};

		must(plan_format(again, &text));
		fail_msg("%s: a second run plans\n%s", fix_case->title, text.data);
	}
}
