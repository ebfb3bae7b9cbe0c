/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Whole plans on a guest with a real kernel's modules and the initramfs that
 * initramfs-tools makes for a server with AHCI disks.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "inject-drivers/drivers.h"
#include "inject-drivers/inject.h"
#include "p2v/base/mem.h"
#include "p2v/base/run.h"
#include "tests/base/lib-must.h"
#include "tests/inject-drivers/lib-inject-server.h"
#include "tests/inject-drivers/lib-overrides.h"

/* modprobe finds the driver with all it needs in what Debian's tool unpacks. */
static void expect_loadable(const struct inject_server *server, const char *module)
{
	free(shell("modprobe -C /nonexistent -S '%s' -d '%s/unpacked/main' --show-depends '%s' |"
		   " while read -r insmod file; do test -e \"$file\"; done",
		   server->version, server->scratch, module));
}

static void expect_loadable_drivers(const struct inject_server *server, unsigned targets)
{
	free(shell("rm -rf '%s/unpacked'; unmkinitramfs '%s' '%s/unpacked'", server->scratch, server->initrd,
		   server->scratch));
	for (size_t f = 0; driver_families[f]; f++) {
		const struct driver_family *family = driver_families[f];

		for (size_t i = 0; family->target & targets && i < family->driver_count; i++) {
			if (family->drivers[i].need != DRIVER_OPTIONAL)
				expect_loadable(server, family->drivers[i].modules[0]);
		}
	}
	expect_loadable(server, "ahci");
	expect_loadable(server, "ext4");
}

static void whole_plan(void **state)
{
	const unsigned targets = TARGET_HYPERV | TARGET_KVM;
	CLEANUP_INJECT_SERVER struct inject_server *server = inject_server_create("main.cpio", "zstd -qc");
	const struct inject_context context = inject_server_context(server, targets);
	CLEANUP_INJECT_RESULT struct inject_result result = {0};
	CLEANUP_INJECT_RESULT struct inject_result again = {0};
	CLEANUP_FREE char *old = shell("cp '%s' '%s/../old'; stat -c '%%a %%U' '%s'", server->initrd,
				       server->tree->root, server->initrd);
	CLEANUP_FREE char *new = NULL;
	CLEANUP_FREE char *backup = NULL;
	CLEANUP_FREE char *load = NULL;
	CLEANUP_FREE char *setting = NULL;
	size_t changes;

	(void)state;
	free(inject_server_run(&context, &result, &changes));
	assert_int_equal(changes, 2);
	expect_loadable_drivers(server, targets);
	assert_int_equal(result.kernel_count, 1);
	assert_string_equal(result.kernels[0].version, server->version);
	assert_int_equal(result.kernels[0].bootable_targets, targets);
	assert_true(strv_has(&result.kernels[0].drivers, "virtio_blk"));
	assert_true(strv_has(&result.kernels[0].drivers, "hv_netvsc"));
	assert_true(strv_has(&result.kernels[0].drivers, "ahci"));
	assert_true(strv_has(&result.kernels[0].drivers, "vmxnet3")); /* from the system itself */
	assert_false(strv_has(&result.kernels[0].drivers, "vmw_pvscsi"));

	/* Mode and owner as before, the original beside it under a name that no boot loader looks for. */
	new = shell("stat -c '%%a %%U' '%s'", server->initrd);
	assert_string_equal(new, old);
	backup = shell("cmp '%s/../old' '%s/boot/p2v-old-initrd.img-%s' && ls '%s/boot'", server->tree->root,
		       server->tree->root, server->version, server->tree->root);
	load = shell("cat '%s/unpacked/main/conf/modules'", server->scratch);
	assert_non_null(strstr(load, "ext4"));
	assert_non_null(strstr(load, "\nhv_vmbus\nhv_storvsc\nhv_netvsc\n"));
	setting = tree_read(server->tree, "/etc/initramfs-tools/modules");
	assert_non_null(strstr(setting, "\nvirtio_pci\nvirtio_blk\nvirtio_scsi\nvirtio_net\n"));

	/* Run on its own result, it finds nothing to do, and nothing stays in the scratch folder. */
	free(inject_server_run(&context, &again, &changes));
	assert_int_equal(changes, 0);
	free(shell("rm -r '%s/unpacked'; rmdir '%s'", server->scratch, server->scratch));
}

/* Another target later: the original stays the backup, the old block gets the new names. */
static void one_target_after_the_other(void **state)
{
	CLEANUP_INJECT_SERVER struct inject_server *server = inject_server_create("small.cpio", "gzip -nc");
	struct inject_context context = inject_server_context(server, TARGET_KVM);
	CLEANUP_FREE char *old = shell("sha256sum <'%s'", server->initrd);
	CLEANUP_FREE char *kept = NULL;
	CLEANUP_FREE char *blocks = NULL;
	size_t changes;

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		CLEANUP_INJECT_RESULT struct inject_result result = {0};

		context.targets = i ? TARGET_HYPERV : TARGET_KVM;
		free(inject_server_run(&context, &result, &changes));
		assert_int_equal(changes, 2);
		assert_int_equal(result.kernels[0].bootable_targets,
				 i ? TARGET_KVM | TARGET_HYPERV : TARGET_KVM);
	}
	kept = shell("cd '%s/boot'; sha256sum <p2v-old-initrd.img-%s; test $(ls | wc -l) = 2",
		     server->tree->root, server->version);
	assert_string_equal(kept, old);
	blocks = shell("grep -c 'p2v: end' '%s/etc/initramfs-tools/modules'", server->tree->root);
	assert_string_equal(blocks, "1\n");
}

struct overriding {
	bool is_needed;
	const char *link; /* to be added, or NULL */
	unsigned asked;
};

static struct err *override_file(void *arg, const char *path, const char *data, size_t bytes,
				 struct inject_overrides *overrides)
{
	struct overriding *overriding = arg;
	struct inject_override override = {.is_needed = overriding->is_needed};

	if (!path && overriding->link) {
		override.path = xstrdup("etc/systemd/network/10-p2v.link");
		override.data = xstrdup(overriding->link);
	} else if (path && strcmp(path, "conf/conf.d/resume") == 0) {
		assert_int_equal(strlen(data), bytes);
		overriding->asked++;
		if (strcmp(data, "RESUME=none\n") == 0)
			return NULL;
		assert_string_equal(data, "RESUME=/dev/sda2\n");
		override.path = xstrdup(path);
		override.data = xstrdup("RESUME=none\n");
	} else if (path && strcmp(path, "etc/lvm/lvm.conf") == 0) {
		override.path = xstrdup(path);
	}
	if (!override.path)
		return NULL;
	override.bytes = override.data ? strlen(override.data) : 0;
	override.reason = xstrdup("because");
	inject_overrides_add(overrides, &override);
	return NULL;
}

static void overrides(void **state)
{
	static const struct {
		bool has_drivers, is_needed, is_written;
	} cases[] = {{false, false, true}, {true, true, true}, {true, false, false}};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		CLEANUP_INJECT_SERVER struct inject_server *server =
			inject_server_create("small.cpio", "xz --check=crc32 -0 -c");
		struct inject_context context = inject_server_context(server, TARGET_KVM);
		struct overriding overriding = {cases[i].is_needed, "[Match]\n", 0};
		CLEANUP_FREE char *content = NULL;
		size_t changes;

		for (int run = cases[i].has_drivers ? 0 : 1; run < 3; run++) {
			CLEANUP_INJECT_RESULT struct inject_result result = {0};

			context.override_file = run ? override_file : NULL;
			context.override_arg = &overriding;
			free(inject_server_run(&context, &result, &changes));
			if (run == 2)
				assert_int_equal(changes, 0);
		}
		content = shell("cd '%s'; rm -rf u; unmkinitramfs '%s' u; cd u/main; cat conf/conf.d/resume;"
				" cat etc/systemd/network/10-p2v.link || true; ls etc/lvm/lvm.conf || true",
				server->scratch, server->initrd);
		assert_true(overriding.asked > 0);
		assert_int_equal(str_starts_with(content, "RESUME=none\n[Match]\n"), cases[i].is_written);
		if (cases[i].is_written)
			assert_null(strstr(content, "lvm"));
	}
}

/* The copies of configuration files in there follow the fixes: a swap partition by UUID, LVM's list of
 * old disks gone, an interface pinned. */
static void fixes_in_the_initramfs(void **state)
{
	CLEANUP_INJECT_SERVER struct inject_server *server = inject_server_create("small.cpio", "gzip -1c");
	struct inspection *inspection = &server->inspection;
	struct machine machine = {0};
	const struct fix_context fix = {.inspection = inspection, .machine = &machine, .targets = TARGET_KVM};
	CLEANUP_INITRAMFS struct initramfs initramfs = {0};

	(void)state;
	free(shell("cd '%s'; mkdir y; cd y; mkdir -p etc/lvm/devices; echo IDNAME=/dev/sda3 "
		   ">etc/lvm/devices/system.devices; find . | cpio --quiet -o -H newc | gzip >>'%s'",
		   server->scratch, server->initrd));
	free(shell("rm -r '%s/y'", server->scratch));
	inspection->volumes = xcalloc(1, sizeof *inspection->volumes);
	inspection->volume_count = 1;
	inspection->volumes[0] = (struct guest_volume){
		.device = xstrdup("/dev/sda2"),
		.partition = 2,
		.content = xstrdup("swap"),
		.uuid = xstrdup("11111111-2222-3333-4444-555555555555"),
		.mount_point = xstrdup("swap"),
	};
	tree_add(server->tree, "/etc/systemd/network/10-p2v-eth0.link", "[Match]\n");
	for (int run = 0; run < 2; run++) {
		CLEANUP_PLAN struct plan *plan = plan_create(server->tree->guest);
		CLEANUP_INJECT_RESULT struct inject_result result = {0};
		struct boot_fix_overrides source = {&fix, plan};
		struct inject_context context = inject_server_context(server, TARGET_KVM);

		context.override_file = boot_fix_overrides_file;
		context.override_arg = &source;
		must(inject_plan(&context, plan, &result));
		assert_int_equal(plan_is_empty(plan), run);
		must(plan_apply(plan, NULL));
	}
	must(initramfs_read(server->initrd, "initrd", &initramfs));
	assert_string_equal(initramfs_find(&initramfs, "conf/conf.d/resume")->data,
			    "RESUME=UUID=11111111-2222-3333-4444-555555555555\n");
	assert_null(initramfs_find(&initramfs, "etc/lvm/devices/system.devices"));
	assert_string_equal(initramfs_find(&initramfs, "etc/systemd/network/10-p2v-eth0.link")->data,
			    "[Match]\n");
}

/* Old initramfs-tools leaves a file alone whose checksum is not the one that it noted. */
static void noted_checksum(void **state)
{
	CLEANUP_INJECT_SERVER struct inject_server *server = inject_server_create("small.cpio", "gzip -1c");
	const struct inject_context context = inject_server_context(server, TARGET_KVM);
	CLEANUP_INJECT_RESULT struct inject_result result = {0};
	size_t changes;

	(void)state;
	free(shell(
		"cd '%s'; mkdir -p var/lib/initramfs-tools; sha1sum boot/initrd.img-%s | sed 's|boot|/boot|' "
		">var/lib/initramfs-tools/%s",
		server->tree->root, server->version, server->version));
	free(inject_server_run(&context, &result, &changes));
	assert_int_equal(changes, 3);
	free(shell("cd '%s'; diff <(sha1sum boot/initrd.img-%s | sed 's|boot|/boot|') "
		   "var/lib/initramfs-tools/%s",
		   server->tree->root, server->version, server->version));
}

/* The guest's modules are under /usr, the initramfs has them in an early archive, compressed. */
static void other_layouts(void **state)
{
	CLEANUP_INJECT_SERVER struct inject_server *server = inject_server_create("small.cpio", "cat");
	const struct inject_context context = inject_server_context(server, TARGET_KVM);
	CLEANUP_FREE char *part = initramfs_part(server->version, "small.cpio");
	CLEANUP_INJECT_RESULT struct inject_result result = {0};
	size_t changes;

	(void)state;
	free(shell("cd '%s'; mkdir usr; mv lib usr/lib; ln -s usr/lib lib; cd usr/lib/modules/%s;"
		   " find . -name '*.ko' -exec xz --check=crc32 -0 {} +; sed -i 's/\\.ko\\b/.ko.xz/g' "
		   "modules.dep",
		   server->tree->root, server->version));
	free(server->inspection.kernels[0].modules_dir);
	server->inspection.kernels[0].modules_dir = xasprintf("/usr/lib/modules/%s", server->version);
	/* As Ubuntu does since 23.10: modules in an archive of their own, everything else in a later one. */
	free(shell(
		"cd '%s/..'; mkdir x; cd x; cpio --quiet -id <'%s'; find usr/lib/modules | cpio --quiet -o "
		"-H newc >'%s'; find . ! -path '*lib/modules*' | cpio --quiet -o -H newc | zstd -q >>'%s'",
		server->tree->root, part, server->initrd, server->initrd));
	free(inject_server_run(&context, &result, &changes));
	assert_int_equal(changes, 2);
	free(shell("lsinitramfs '%s' | grep '/virtio_blk.ko.xz$'", server->initrd));
	assert_int_equal(result.kernels[0].bootable_targets & TARGET_KVM, TARGET_KVM);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(whole_plan),	  cmocka_unit_test(one_target_after_the_other),
		cmocka_unit_test(overrides),	  cmocka_unit_test(fixes_in_the_initramfs),
		cmocka_unit_test(noted_checksum), cmocka_unit_test(other_layouts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
