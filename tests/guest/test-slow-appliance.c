/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The real appliance on small disks made here.  Every start takes a quarter of a minute emulated, so each
 * test looks at many things.
 */
#include <elf.h>
#include <fcntl.h>
#include <guestfs.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "p2v/base/mem.h"
#include "p2v/base/run.h"
#include "p2v/base/scratch.h"
#include "p2v/guest/appliance.h"
#include "p2v/guest/plan.h"
#include "p2v/guest/serve.h"
#include "p2v/guest/sha256.h"
#include "tests/base/lib-must.h"
#include "tests/guest/lib-conformance.h"
#include "tests/guest/lib-disk.h"

static void log_to_stdout(void *arg, enum log_level level, const char *message)
{
	(void)arg;
	if (level <= LOG_LEVEL_INFO)
		print_message("%s\n", message);
}

static const struct log test_log = {log_to_stdout, NULL, LOG_LEVEL_INFO};

/* An appliance over images, and all that goes with it. */
struct machine_under_test {
	struct scratch *scratch;
	struct server *servers[4];
	const char *sockets[5];
	struct appliance *appliance;
	struct guest *guest;
	struct inspection inspection;
	struct machine machine;
};

static void start(struct machine_under_test *machine, const char *const *disks, bool read_only)
{
	struct appliance_options options = {
		.nbd_sockets = machine->sockets,
		.read_only = read_only,
		.log = &test_log,
	};

	must(scratch_create("/tmp", "p2v-test", &machine->scratch));
	options.scratch_dir = scratch_path(machine->scratch);
	for (size_t i = 0; disks[i]; i++) {
		struct serve_options serve = {
			.file = disks[i],
			.read_only = read_only,
			.scratch_dir = scratch_path(machine->scratch),
		};

		must(serve_vhdx(&serve, &machine->servers[i]));
		machine->sockets[i] = server_socket(machine->servers[i]);
	}
	must(appliance_start(&options, &machine->appliance));
}

static struct err *open_system(struct machine_under_test *machine)
{
	return appliance_open_guest(machine->appliance, &machine->guest, &machine->inspection);
}

static void stop(struct machine_under_test *machine)
{
	must(appliance_stop(take_ptr(machine->appliance)));
	for (size_t i = 0; i < sizeof machine->servers / sizeof *machine->servers; i++)
		must(server_stop(take_ptr(machine->servers[i])));
	scratch_destroy(take_ptr(machine->scratch));
	inspection_deinit(&machine->inspection);
	machine_deinit(&machine->machine);
}

/* The conformance tree, made a system by an fstab and a program for the given processor. */
static struct tree *make_system(const char *fstab, unsigned char elf_machine)
{
	struct tree *tree = tree_create(conformance_tree);
	unsigned char header[64] = {0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, 1};

	header[18] = elf_machine;
	tree_add_bytes(tree, "/usr/bin/sh", header, sizeof header);
	tree_add(tree, "/etc/fstab", fstab);
	return tree;
}

static void hash_file(const char *path, char ret_hex[SHA256_TEXT_BYTES])
{
	must(sha256_of_file(path, ret_hex));
}

/* fetch, then the same answers from memory; then all changes; then a plan with a backup. */
static void use_guest(struct machine_under_test *machine, const char *host_dir)
{
	static const char *const trees[] = {"/etc", "/lib", "/nothing", "/srv/a/one", NULL};
	CLEANUP_FREE char *host_file = xasprintf("%s/new-image", host_dir);
	CLEANUP_FREE char *data = NULL;
	FILE *file = fopen(host_file, "we");
	struct plan *plan;
	size_t bytes;

	assert_non_null(file);
	fputs("new image", file);
	fclose(file);
	conformance_check_reading(machine->guest);
	must(guest_fetch(machine->guest, trees, 12));
	conformance_check_reading(machine->guest);
	conformance_check_copying(machine->guest, host_dir);
	conformance_check_writing(machine->guest, host_dir);

	plan = plan_create(machine->guest);
	must(plan_upload(plan, "/boot/kept", host_file, "/boot/kept.old", "because"));
	must(plan_write(plan, "/etc/hostname", "other\n", 6, "because"));
	must(plan_apply(plan, &test_log));
	plan_destroy(plan);
	must(guest_read(machine->guest, "/etc/hostname", &data, &bytes));
	assert_string_equal(data, "other\n");
}

/* An ext4 root that was not unmounted, with a label to keep, on the second of two disks. */
static void changes_ext4_guest(void **state)
{
	CLEANUP_TREE struct tree *tree = make_system(
		"/dev/sda1 / ext4 errors=remount-ro 0 1\n/dev/sdb1 /srv2 ext4 defaults 0 2\n", EM_X86_64);
	CLEANUP_FREE char *disk = disk_create(tree, "disk", 128);
	CLEANUP_FREE char *data_disk = disk_create(tree, "data", 64);
	CLEANUP_FREE char *data_folder = xasprintf("%s/../data-folder", tree->root);
	CLEANUP_FREE char *host_dir = xasprintf("%s/../host", tree->root);
	const char *disks[] = {data_disk, disk, NULL};
	struct machine_under_test machine = {0};
	char data_before[SHA256_TEXT_BYTES];
	char data_after[SHA256_TEXT_BYTES];
	int fd;

	(void)state;
	assert_int_equal(mkdir(data_folder, 0755), 0);
	assert_int_equal(mkdir(host_dir, 0755), 0);
	disk_partition(disk, "label: dos\n2048,,83,*\n");
	disk_partition(data_disk, "label: gpt\nstart=2048\n");
	disk_make_ext4(disk, 1, 126, tree->root, NULL);
	disk_make_ext4(data_disk, 1, 62, data_folder, NULL);
	disk_debugfs(disk, 1, "feature needs_recovery");
	disk_debugfs(disk, 1, "ea_set /etc/hostname security.selinux label_of_hostname");
	fd = open(disk, O_WRONLY | O_CLOEXEC);
	assert_int_equal(pwrite(fd, "boot", 4, 0), 4);
	close(fd);
	hash_file(data_disk, data_before);

	start(&machine, disks, false);
	must(appliance_describe_disks(machine.appliance, &machine.machine));
	assert_int_equal(machine.machine.disk_count, 2);
	assert_string_equal(machine.machine.disks[0].table, "gpt");
	assert_string_equal(machine.machine.disks[1].table, "dos");
	assert_int_equal(machine.machine.disks[1].size_bytes, 128 << 20);
	assert_int_equal(machine.machine.disks[1].partition_count, 1);
	assert_int_equal(machine.machine.disks[1].partitions[0].start_bytes, 1 << 20);
	assert_string_equal(machine.machine.disks[1].partitions[0].type, "0x83");
	assert_string_equal(machine.machine.disks[1].partitions[0].content, "ext4");

	must(open_system(&machine));
	assert_int_equal(appliance_boot_disk(machine.appliance), 1);
	assert_string_equal(machine.inspection.volumes[0].device, "/dev/sdb1");
	assert_string_equal(machine.inspection.volumes[0].mount_point, "/");
	assert_string_equal(inspect_find_volume(&machine.inspection, "/dev/sda1")->device, "/dev/sdb1");
	assert_string_equal(inspect_find_volume(&machine.inspection, "/dev/sdb1")->device, "/dev/sda1");
	assert_string_equal(machine.inspection.os.arch, "x86_64");
	use_guest(&machine, host_dir);
	stop(&machine);

	disk_check_ext4(disk, 1);
	hash_file(data_disk, data_after);
	assert_string_equal(data_after, data_before);
	/* The new file has the label, the old content is in the backup. */
	{
		CLEANUP_FREE char *device = xasprintf("%s?offset=1048576", disk);
		const char *label[] = {"debugfs", "-R", "ea_get /etc/hostname security.selinux", device,
				       NULL};
		const char *backup[] = {"debugfs", "-R", "cat /boot/kept.old", device, NULL};
		CLEANUP_RUN_RESULT struct run_result label_result = {0};
		CLEANUP_RUN_RESULT struct run_result backup_result = {0};

		must(run_argv(label, &(struct run_options){0}, &label_result));
		assert_non_null(strstr(label_result.out, "label_of_hostname"));
		must(run_argv(backup, &(struct run_options){0}, &backup_result));
		assert_string_equal(backup_result.out, "uploaded");
	}
}

/* Volumes on LVM with XFS, built by libguestfs and cut off before they were unmounted. */
static void build_lvm(const char *disk, const char *tar)
{
	static char *const volumes[] = {"/dev/sda2", NULL};
	/* Durable by the log alone. */
	static char *const write_late[] = {"echo late >/sysroot/etc/late && sync /sysroot/etc/late", NULL};
	guestfs_h *g = guestfs_create();
	pid_t pid;

	guestfs_set_error_handler(g, NULL, NULL);
	if (guestfs_set_backend(g, "direct") || guestfs_set_backend_setting(g, "force_tcg", "1") ||
	    guestfs_add_drive_opts(g, disk, GUESTFS_ADD_DRIVE_OPTS_FORMAT, "raw", -1) || guestfs_launch(g) ||
	    guestfs_mkfs(g, "ext4", "/dev/sda1") || guestfs_pvcreate(g, "/dev/sda2") ||
	    guestfs_vgcreate(g, "sys-vg", volumes) || guestfs_lvcreate(g, "root", "sys-vg", 400) ||
	    guestfs_lvcreate(g, "swap", "sys-vg", 32) || guestfs_mkfs(g, "xfs", "/dev/sys-vg/root") ||
	    guestfs_mkswap(g, "/dev/sys-vg/swap") || guestfs_mount(g, "/dev/sys-vg/root", "/") ||
	    guestfs_tar_in(g, tar, "/") || guestfs_mkdir(g, "/boot") || guestfs_sync(g) ||
	    !guestfs_debug(g, "sh", write_late))
		fail_msg("libguestfs: %s", guestfs_last_error(g));
	pid = guestfs_get_pid(g);
	assert_true(pid > 1);
	assert_int_equal(kill(pid, SIGKILL), 0);
	guestfs_close(g);
}

static void opens_xfs_on_lvm(void **state)
{
	CLEANUP_TREE struct tree *tree = make_system("/dev/mapper/sys--vg-root / xfs defaults 0 0\n"
						     "/dev/sda1 /boot ext4 defaults 0 2\n"
						     "/dev/mapper/sys--vg-swap none swap sw 0 0\n",
						     EM_X86_64);
	CLEANUP_FREE char *disk = disk_create(tree, "disk", 600);
	CLEANUP_FREE char *tar = xasprintf("%s/../tree.tar", tree->root);
	const char *tar_argv[] = {"tar", "-C", tree->root, "-cf", tar, ".", NULL};
	const char *disks[] = {disk, NULL};
	struct machine_under_test machine = {0};
	const struct inspection *inspection = &machine.inspection;
	CLEANUP_FREE char *late = NULL;
	char before[SHA256_TEXT_BYTES];
	char after[SHA256_TEXT_BYTES];
	struct guest_stat stat = {.kind = GUEST_FILE, .mode = 0644};
	size_t bytes;

	(void)state;
	disk_partition(disk, "label: gpt\nstart=2048,size=64M\nsize=+\n");
	run_tool(tar_argv);
	build_lvm(disk, tar);
	hash_file(disk, before);

	start(&machine, disks, true);
	must(open_system(&machine));
	assert_string_equal(inspection->volumes[0].device, "/dev/sys-vg/root");
	assert_true(inspection->volumes[0].is_logical_volume);
	assert_int_equal(inspection->volumes[0].disk, 0);
	assert_string_equal(inspection->volumes[0].content, "xfs");
	assert_string_equal(inspect_find_volume(inspection, "/dev/mapper/sys--vg-swap")->mount_point, "swap");
	assert_string_equal(inspect_find_volume(inspection, "/dev/sda1")->mount_point, "/boot");
	/* The log was replayed: a file that only it had is there. */
	must(guest_read(machine.guest, "/etc/late", &late, &bytes));
	assert_string_equal(late, "late\n");
	must_fail_as(guest_write(machine.guest, "/etc/new", "", 0, &stat), ERR_FAILED, "/etc/new");
	stop(&machine);
	/* On an overlay: nothing was written. */
	hash_file(disk, after);
	assert_string_equal(after, before);
}

/* A mirror of two disks, as servers without a RAID controller have it. */
static void build_mirror(const char *const *disks, const char *tar)
{
	static char *const members[] = {"/dev/sda1", "/dev/sdb1", NULL};
	guestfs_h *g = guestfs_create();

	guestfs_set_error_handler(g, NULL, NULL);
	if (guestfs_set_backend(g, "direct") || guestfs_set_backend_setting(g, "force_tcg", "1") ||
	    guestfs_add_drive_opts(g, disks[0], GUESTFS_ADD_DRIVE_OPTS_FORMAT, "raw", -1) ||
	    guestfs_add_drive_opts(g, disks[1], GUESTFS_ADD_DRIVE_OPTS_FORMAT, "raw", -1) ||
	    guestfs_launch(g) ||
	    guestfs_md_create(g, "system", members, GUESTFS_MD_CREATE_LEVEL, "raid1", -1) ||
	    guestfs_mkfs(g, "ext4", "/dev/md/system") || guestfs_mount(g, "/dev/md/system", "/") ||
	    guestfs_tar_in(g, tar, "/") || guestfs_shutdown(g))
		fail_msg("libguestfs: %s", guestfs_last_error(g));
	guestfs_close(g);
}

static void opens_mirrored_system(void **state)
{
	CLEANUP_TREE struct tree *tree = make_system("/dev/md0 / ext4 defaults 0 1\n", EM_X86_64);
	CLEANUP_FREE char *first = disk_create(tree, "first", 96);
	CLEANUP_FREE char *second = disk_create(tree, "second", 96);
	CLEANUP_FREE char *tar = xasprintf("%s/../tree.tar", tree->root);
	const char *tar_argv[] = {"tar", "-C", tree->root, "-cf", tar, ".", NULL};
	const char *disks[] = {first, second, NULL};
	struct machine_under_test machine = {0};
	const struct inspection *inspection = &machine.inspection;

	(void)state;
	disk_partition(first, "label: dos\n2048,,fd,*\n");
	disk_partition(second, "label: dos\n2048,,fd\n");
	run_tool(tar_argv);
	build_mirror(disks, tar);

	start(&machine, disks, true);
	must(open_system(&machine));
	assert_true(str_starts_with(inspection->volumes[0].device, "/dev/md"));
	assert_int_equal(inspection->volumes[0].disk, -1);
	assert_string_equal(inspection->volumes[0].content, "ext4");
	assert_string_equal(inspection->volumes[0].mount_point, "/");
	assert_ptr_equal(inspect_find_volume(inspection, "/dev/md0"), &inspection->volumes[0]);
	assert_int_equal(inspection->volume_count, 3);
	assert_string_equal(inspection->volumes[1].content, "linux_raid_member");
	conformance_check_reading(machine.guest);
	stop(&machine);
}

static void refuse(const char *const *disks, const char *text)
{
	struct machine_under_test machine = {0};

	start(&machine, disks, true);
	must_fail_as(open_system(&machine), ERR_REFUSED, text);
	stop(&machine);
}

static void refuses_two_systems(void **state)
{
	CLEANUP_TREE struct tree *tree = make_system("", EM_X86_64);
	CLEANUP_FREE char *disk = disk_create(tree, "disk", 64);
	const char *disks[] = {disk, NULL};

	(void)state;
	disk_partition(disk, "label: dos\nsize=30M\nsize=+\n");
	disk_make_ext4(disk, 1, 30, tree->root, NULL);
	disk_make_ext4(disk, 31, 32, tree->root, NULL);
	refuse(disks, "more than one operating system: Linux on /dev/sda1, Linux on /dev/sda2");
}

static void refuses_other_architecture(void **state)
{
	CLEANUP_TREE struct tree *tree = make_system("", EM_AARCH64);
	CLEANUP_FREE char *disk = disk_create(tree, "disk", 32);
	const char *disks[] = {disk, NULL};

	(void)state;
	/* Without a partition table, too. */
	disk_make_ext4(disk, 0, 32, tree->root, NULL);
	refuse(disks, "the system is for aarch64");
}

static void refuses_encrypted_system(void **state)
{
	/* LUKS1 on-disk format: magic, version, …, UUID at 168. */
	static const char magic[] = "LUKS\xba\xbe\0\1";
	CLEANUP_TREE struct tree *tree = make_system("", EM_X86_64);
	CLEANUP_FREE char *disk = disk_create(tree, "disk", 32);
	const char *disks[] = {disk, NULL};
	int fd = open(disk, O_WRONLY | O_CLOEXEC);

	(void)state;
	assert_int_equal(pwrite(fd, magic, 8, 1 << 20), 8);
	assert_int_equal(pwrite(fd, "0a1b2c3d-0000-4000-8000-000000000001", 37, (1 << 20) + 168), 37);
	close(fd);
	disk_partition(disk, "label: dos\n2048,,83\n");
	refuse(disks, "encrypted: LUKS on /dev/sda1");
}

static void refuses_damaged_system(void **state)
{
	CLEANUP_TREE struct tree *tree = make_system("", EM_X86_64);
	CLEANUP_FREE char *disk = disk_create(tree, "disk", 32);
	const char *disks[] = {disk, NULL};

	(void)state;
	disk_partition(disk, "label: dos\n2048,,83\n");
	disk_make_ext4(disk, 1, 31, tree->root, NULL);
	/* The group descriptors, behind the superblock. */
	{
		CLEANUP_FREE char *noise = xmalloc(65536);
		int fd = open(disk, O_WRONLY | O_CLOEXEC);

		memset(noise, 0xa5, 65536);
		assert_int_equal(pwrite(fd, noise, 65536, (1 << 20) + 2048), 65536);
		close(fd);
	}
	refuse(disks, "damaged: /dev/sda1");
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(changes_ext4_guest),	      cmocka_unit_test(opens_xfs_on_lvm),
		cmocka_unit_test(opens_mirrored_system),      cmocka_unit_test(refuses_two_systems),
		cmocka_unit_test(refuses_other_architecture), cmocka_unit_test(refuses_encrypted_system),
		cmocka_unit_test(refuses_damaged_system),
	};

	/* For one of them alone. */
	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
