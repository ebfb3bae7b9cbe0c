/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "p2v/guest/kvm.h"

#include <fcntl.h>
#include <stdint.h>

#include "p2v/base/mem.h"
#include "p2v/base/run.h"

#define LIMIT_NS 4000000000ull

/* QEMU's isa-debug-exit ends it with status (value << 1) | 1. */
#define EXIT_VALUE 0x2a
#define EXIT_STATUS (EXIT_VALUE << 1 | 1)

/* mov al, EXIT_VALUE; out 0xf4, al; hlt; jmp to hlt */
static const uint8_t boot_code[] = {0xb0, EXIT_VALUE, 0xe6, 0xf4, 0xf4, 0xeb, 0xfd};

static bool write_boot_sector(const char *path)
{
	CLEANUP_FD int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	uint8_t sector[512] = {[510] = 0x55, [511] = 0xaa};

	__builtin_memcpy(sector, boot_code, sizeof boot_code);
	return fd >= 0 && write(fd, sector, sizeof sector) == sizeof sector;
}

bool kvm_works(const char *scratch_dir, const struct log *log)
{
	CLEANUP_FREE char *path = xasprintf("%s/kvm-probe", scratch_dir);
	CLEANUP_FREE char *drive = xasprintf("file=%s,format=raw,if=ide,snapshot=on", path);
	const char *const argv[] = {
		"qemu-system-x86_64",
		"-accel",
		"kvm",
		"-machine",
		"pc",
		"-m",
		"16",
		"-nodefaults",
		"-no-user-config",
		"-no-reboot",
		"-display",
		"none",
		"-drive",
		drive,
		"-device",
		"isa-debug-exit,iobase=0xf4,iosize=0x04",
		NULL,
	};
	struct run_options options = {.flags = RUN_ANY_STATUS, .time_limit_ns = LIMIT_NS, .log = log};
	CLEANUP_RUN_RESULT struct run_result result = {0};
	CLEANUP_ERR struct err *err = NULL;

	if (access("/dev/kvm", R_OK | W_OK) || !write_boot_sector(path))
		return false;
	err = run_argv(argv, &options, &result);
	unlink(path);
	if (err)
		log_debug(log, "KVM does not work: %s", err_message(err));
	else if (result.status != EXIT_STATUS)
		log_debug(log, "KVM does not work: status %d, %s", result.status, result.err_text);
	return !err && result.status == EXIT_STATUS;
}
