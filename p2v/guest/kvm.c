/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The probe is a boot sector that ends QEMU with a status of its own.  How long
 * that takes emulated tells what this machine can do at this moment, loaded or
 * not; real KVM takes about as long, since it is mostly the start of QEMU.
 * KVM that traps every instruction takes twenty times as long even for this,
 * and a guest kernel would seem to hang.
 */
#include "p2v/guest/kvm.h"

#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "p2v/base/mem.h"
#include "p2v/base/run.h"
#include "p2v/guest/user-cache.h"

#define EMULATED_LIMIT_NS 20000000000ull

/* KVM may take this many times what emulation takes, and this much more. */
#define TIMES 3
#define ALLOWANCE_NS 500000000ull

#define REMEMBER_SECONDS 3600
#define BOOT_ID_BYTES 64

/* QEMU's isa-debug-exit ends it with status (value << 1) | 1. */
#define EXIT_VALUE 0x2a
#define EXIT_STATUS (EXIT_VALUE << 1 | 1)

/* mov al, EXIT_VALUE; out 0xf4, al; hlt; jmp to hlt */
static const uint8_t boot_code[] = {0xb0, EXIT_VALUE, 0xe6, 0xf4, 0xf4, 0xeb, 0xfd};

static bool write_boot_sector(const char *path)
{
	CLEANUP_FD int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	uint8_t sector[512] = {[510] = 0x55, [511] = 0xaa};

	memcpy(sector, boot_code, sizeof boot_code);
	return fd >= 0 && write(fd, sector, sizeof sector) == sizeof sector;
}

/* Runs the probe; true if it came to its end, after *ret_ns.  With the processor that guests will have: there
 * is KVM that cannot give them the host's. */
static bool run_probe(const char *path, const char *accelerator, uint64_t limit_ns, const struct log *log,
		      uint64_t *ret_ns)
{
	CLEANUP_FREE char *drive = xasprintf("file=%s,format=raw,if=ide,snapshot=on", path);
	const char *const argv[] = {
		"qemu-system-x86_64",
		"-accel",
		accelerator,
		"-cpu",
		strcmp(accelerator, "kvm") ? "max" : "host",
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
	struct run_options options = {.flags = RUN_ANY_STATUS, .time_limit_ns = limit_ns, .log = log};
	CLEANUP_RUN_RESULT struct run_result result = {0};
	uint64_t start_ns = run_now_ns();
	CLEANUP_ERR struct err *err = run_argv(argv, &options, &result);

	*ret_ns = run_now_ns() - start_ns;
	if (err)
		log_debug(log, "%s: %s", accelerator, err_message(err));
	return !err && result.status == EXIT_STATUS;
}

/* The machine's present run (random(4)): what was found out before a reboot counts for nothing. */
static bool read_boot_id(char ret_id[BOOT_ID_BYTES])
{
	CLEANUP_FCLOSE FILE *file = fopen("/proc/sys/kernel/random/boot_id", "re");

	return file && fgets(ret_id, BOOT_ID_BYTES, file);
}

/* An answer of the last hour, -1 if there is none. */
static int remembered_answer(const char *path, const char *boot_id)
{
	CLEANUP_FCLOSE FILE *file = fopen(path, "re");
	char line[BOOT_ID_BYTES];
	char word[8];
	struct stat st;

	if (!file || fstat(fileno(file), &st) || time(NULL) - st.st_mtime > REMEMBER_SECONDS ||
	    st.st_mtime > time(NULL) || !fgets(line, sizeof line, file) || strcmp(line, boot_id) != 0 ||
	    fscanf(file, "%7s", word) != 1)
		return -1;
	return strcmp(word, "works") == 0;
}

static void remember_answer(const char *path, const char *boot_id, bool works)
{
	CLEANUP_FREE char *temp = xasprintf("%s.%ld", path, (long)getpid());
	FILE *file = fopen(temp, "we");

	if (!file)
		return;
	fprintf(file, "%s%s\n", boot_id, works ? "works" : "fails");
	if (fclose(file) || rename(temp, path))
		unlink(temp);
}

static bool probe(const char *scratch_dir, const struct log *log)
{
	CLEANUP_FREE char *path = xasprintf("%s/kvm-probe", scratch_dir);
	uint64_t emulated_ns, kvm_ns;
	bool works = false;

	if (!write_boot_sector(path))
		return false;
	if (run_probe(path, "tcg", EMULATED_LIMIT_NS, log, &emulated_ns))
		works = run_probe(path, "kvm", TIMES * emulated_ns + ALLOWANCE_NS, log, &kvm_ns);
	unlink(path);
	return works;
}

bool kvm_works(const char *scratch_dir, const struct log *log)
{
	CLEANUP_FREE char *cache = user_cache_dir();
	CLEANUP_FREE char *path = cache ? xasprintf("%s/kvm", cache) : NULL;
	char boot_id[BOOT_ID_BYTES];
	bool works;
	int known;

	if (access("/dev/kvm", R_OK | W_OK))
		return false;
	if (!path || !read_boot_id(boot_id))
		return probe(scratch_dir, log);
	known = remembered_answer(path, boot_id);
	if (known >= 0) {
		log_debug(log, "KVM %s, as was found before (%s)", known ? "works" : "does not work", path);
		return known;
	}
	works = probe(scratch_dir, log);
	remember_answer(path, boot_id, works);
	return works;
}
