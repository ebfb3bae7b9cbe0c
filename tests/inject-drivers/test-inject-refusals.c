/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Guests that lack drivers, or whose initramfs is not what it should be. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "p2v/base/mem.h"
#include "tests/inject-drivers/lib-inject-server.h"

static void missing_drivers(void **state)
{
	CLEANUP_INJECT_SERVER struct inject_server *server = inject_server_create("small.cpio", "gzip -1c");
	struct inject_context context = inject_server_context(server, TARGET_KVM | TARGET_HYPERV);
	CLEANUP_INJECT_RESULT struct inject_result result = {0};
	CLEANUP_FREE char *message =
		xasprintf("no kernel of this guest can boot on hyperv: %s: it has no driver "
			  "hv_vmbus, hv_storvsc",
			  server->version);
	CLEANUP_FREE char *findings = NULL;
	size_t changes;

	(void)state;
	inject_server_remove_modules(server, "/(hv_[a-z]*|vmxnet3|xen-blkfront)\\.ko");
	expect_inject_refusal(&context, message);

	/* As far as there are drivers. */
	context.targets = TARGET_ALL;
	findings = inject_server_run(&context, &result, &changes);
	assert_int_equal(result.kernels[0].bootable_targets, TARGET_KVM | TARGET_VMWARE);
	assert_non_null(strstr(findings, "cannot boot on hyperv: it has no driver hv_vmbus, hv_storvsc"));
	assert_non_null(strstr(findings, "cannot boot on xen: it has no driver xen_blkfront"));
	assert_non_null(strstr(findings, "has no vmxnet3, which vmware could use"));
	assert_null(strstr(findings, "boot on kvm"));
}

static void built_in_drivers(void **state)
{
	CLEANUP_INJECT_SERVER struct inject_server *server = inject_server_create("small.cpio", "gzip -1c");
	struct inject_context context = inject_server_context(server, TARGET_KVM);
	CLEANUP_INJECT_RESULT struct inject_result result = {0};
	CLEANUP_INJECT_RESULT struct inject_result bare = {0};
	CLEANUP_FREE char *findings = NULL;
	CLEANUP_FREE char *bare_findings = NULL;
	size_t changes;

	(void)state;
	inject_server_remove_modules(server, "/(virtio|sd_mod)");
	free(shell(
		"cd '%s/lib/modules/%s'; printf 'kernel/%%s.ko\\n' virtio_pci virtio-blk virtio_net sd_mod "
		"virtio_scsi >>modules.builtin",
		server->tree->root, server->version));
	findings = inject_server_run(&context, &result, &changes);
	assert_int_equal(changes, 0);
	assert_int_equal(result.kernels[0].bootable_targets, TARGET_KVM);
	assert_string_equal(findings, "[]");

	free(server->inspection.kernels[0].initramfs);
	server->inspection.kernels[0].initramfs = NULL;
	bare_findings = inject_server_run(&context, &bare, &changes);
	assert_int_equal(changes, 0);
	assert_int_equal(bare.kernels[0].bootable_targets, TARGET_KVM);
	assert_non_null(strstr(bare_findings, "it has no initramfs; it can boot without a change"));
	context.targets = TARGET_VMWARE;
	expect_inject_refusal(&context, "it cannot be given vmw_pvscsi: it has no initramfs");
}

static void damaged_initramfs(void **state)
{
	static const struct {
		const char *command; /* $i: the initramfs, $m: the modules folder */
		const char *text;
	} cases[] = {
		{"truncate -s 100000 $i", "initrd.img-"},
		{"truncate -s 100000 $i", "cannot be unpacked"},
		{"truncate -s 0 $i", "holds no files"},
		{"rm $i", "is not a file"},
		{"rm $i; mkdir $i", "is not a file"},
		{"echo x >>$i", "is neither a cpio archive nor compressed"},
		{"touch squash-root.img; echo squash-root.img | cpio --quiet -o -H newc >$i",
		 "its modules are packed in squash-root.img"},
		{"rm $m/kernel/drivers/block/virtio_blk.ko*", "virtio_blk.ko, which is not there"},
		{"rm $m/modules.dep", "modules.dep is not there"},
		{"truncate -s 0 $m/kernel/drivers/block/virtio_blk.ko",
		 "virtio_blk.ko is damaged: it is no kernel module"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		CLEANUP_INJECT_SERVER struct inject_server *server =
			inject_server_create("small.cpio", "gzip -1c");
		const struct inject_context context = inject_server_context(server, TARGET_KVM);

		free(shell("i='%s' m='%s/lib/modules/%s'; cd '%s/..'; %s", server->initrd, server->tree->root,
			   server->version, server->tree->root, cases[i].command));
		expect_inject_refusal(&context, cases[i].text);
	}
}

/* A second kernel that cannot be helped does not stop the first. */
static void several_kernels(void **state)
{
	static const char *const versions[] = {"9.1-none", "9.2-shared", "9.3-cut"};
	CLEANUP_INJECT_SERVER struct inject_server *server = inject_server_create("small.cpio", "gzip -1c");
	const struct inject_context context = inject_server_context(server, TARGET_KVM);
	CLEANUP_INJECT_RESULT struct inject_result result = {0};
	CLEANUP_FREE char *findings = NULL;
	struct guest_kernel *kernels = xcalloc(4, sizeof *kernels);
	size_t changes;

	(void)state;
	kernels[0] = server->inspection.kernels[0];
	free(server->inspection.kernels);
	server->inspection.kernels = kernels;
	server->inspection.kernel_count = 4;
	for (size_t i = 0; i < 3; i++)
		kernels[i + 1] = (struct guest_kernel){
			.version = xstrdup(versions[i]),
			.image = xstrdup("/boot/x"),
			.initramfs = i == 0 ? NULL : xstrdup(i == 1 ? kernels[0].initramfs : "/boot/cut"),
			.modules_dir = xstrdup(kernels[0].modules_dir),
		};
	tree_add(server->tree, "/boot/cut", "070701");
	findings = inject_server_run(&context, &result, &changes);
	assert_int_equal(changes, 2);
	assert_int_equal(result.kernel_count, 4);
	assert_int_equal(result.kernels[0].bootable_targets & TARGET_KVM, TARGET_KVM);
	for (size_t i = 1; i < 4; i++)
		assert_int_equal(result.kernels[i].bootable_targets, 0);
	assert_non_null(strstr(findings, "kernel 9.1-none cannot boot on kvm: it cannot be given virtio_pci, "
					 "virtio_blk: it has no initramfs"));
	assert_non_null(strstr(findings, "kernel 9.2-shared cannot boot on kvm"));
	assert_non_null(strstr(findings, "it shares /boot/initrd.img-"));
	assert_non_null(strstr(findings, "/boot/cut: the archive ends in the middle of an entry"));
}

static void no_kernel(void **state)
{
	CLEANUP_TREE struct tree *tree = tree_create(NULL);
	const struct inspection inspection = {0};
	CLEANUP_FREE char *scratch = xasprintf("%s/../scratch", tree->root);
	const struct inject_context context = {
		.guest = tree->guest,
		.inspection = &inspection,
		.targets = TARGET_ALL,
		.scratch_dir = scratch,
	};

	(void)state;
	free(shell("mkdir '%s'", scratch));
	expect_inject_refusal(&context, "no kernel was found in this guest");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(missing_drivers),   cmocka_unit_test(built_in_drivers),
		cmocka_unit_test(damaged_initramfs), cmocka_unit_test(several_kernels),
		cmocka_unit_test(no_kernel),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
