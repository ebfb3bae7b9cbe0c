/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "iso/live-bundle.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/klog.h>
#include <unistd.h>
#include <zstd.h>

#include "capture/sysroot.h"
#include "iso/live-tar.h"
#include "p2v/base/mem.h"
#include "p2v/base/run.h"

#define SCAN_LIMIT_NS 120000000000
#define LEVEL 9
/* <linux/syslog.h> in the kernel: SYSLOG_ACTION_READ_ALL, SYSLOG_ACTION_SIZE_BUFFER */
#define KLOG_READ_ALL 3
#define KLOG_SIZE 10

/* The command line is in the kernel's log, too. */
void live_bundle_hide_key(char *text)
{
	for (char *at = text; (at = strcasestr(at, "key="));) {
		bool is_quoted = false;

		/* "p2v.key=A B": up to the quote. */
		for (const char *back = at; back > text && back[-1] != ' ' && back[-1] != '\n'; back--)
			is_quoted |= back[-1] == '"';
		at += strlen("key=");
		if (*at == '"') {
			is_quoted = true;
			at++;
		}
		while (*at && *at != '\n' && (is_quoted ? *at != '"' : !strchr(" \t\r", *at)))
			*at++ = '*';
	}
}

static void add_text(struct text *archive, const char *name, char *text)
{
	if (!text)
		return;
	live_bundle_hide_key(text);
	live_tar_add(archive, name, text, strlen(text));
}

static void add_kernel_log(struct text *archive)
{
	int bytes = klogctl(KLOG_SIZE, NULL, 0);
	CLEANUP_FREE char *text = bytes > 0 ? xcalloc(1, bytes + 1) : NULL;

	if (text && klogctl(KLOG_READ_ALL, text, bytes) > 0)
		add_text(archive, "dmesg", text);
}

/* An error is worth as much as the result. */
static void add_command(struct text *archive, const char *name, const struct log *log,
			const char *const *argv)
{
	const struct run_options options = {
		.flags = RUN_ANY_STATUS, .time_limit_ns = SCAN_LIMIT_NS, .log = log};
	CLEANUP_RUN_RESULT struct run_result result = {0};
	CLEANUP_ERR struct err *err = run_argv(argv, &options, &result);
	CLEANUP_FREE char *text =
		err ? xasprintf("%s\n", err_message(err)) : xasprintf("%s%s", result.out, result.err_text);

	add_text(archive, name, text);
}

static void add_files(struct text *archive, const struct live_state *state)
{
	static const char *const names[] = {
		"/proc/cmdline", "/proc/cpuinfo",    "/proc/meminfo", "/proc/modules", "/proc/mdstat",
		"/proc/mounts",	 "/proc/partitions", "/proc/version", "/proc/net/dev", "/proc/net/route",
		"/proc/iomem",	 "/proc/interrupts", "/proc/swaps",
	};

	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		CLEANUP_FREE char *text = sysroot_read(state->options->sysroot, "%s", names[i]);

		add_text(archive, names[i] + 1, text);
	}
}

/* One device a line, as the kernel says what it is and who drives it. */
static void add_devices(struct text *archive, const struct live_state *state, const char *bus)
{
	const char *root = state->options->sysroot;
	CLEANUP_FREE char *folder = xasprintf("/sys/bus/%s/devices", bus);
	CLEANUP_FREE char *name = xasprintf("hardware/%s", bus);
	CLEANUP_STRV struct strv devices = {0};
	CLEANUP_TEXT struct text text = {0};

	sysroot_list(root, folder, &devices);
	for (size_t i = 0; i < devices.count; i++) {
		CLEANUP_FREE char *modalias = sysroot_read(root, "%s/%s/modalias", folder, devices.items[i]);
		CLEANUP_FREE char *driver = sysroot_link(root, "%s/%s/driver", folder, devices.items[i]);
		CLEANUP_FREE char *product = sysroot_read(root, "%s/%s/product", folder, devices.items[i]);

		text_addf(&text, "%s %s driver %s%s%s\n", devices.items[i], modalias ? modalias : "-",
			  driver ? driver : "none", product ? ", " : "", product ? product : "");
	}
	if (text.bytes)
		add_text(archive, name, text.data);
}

static void add_firmware(struct text *archive, const struct live_state *state)
{
	const char *root = state->options->sysroot;
	CLEANUP_STRV struct strv names = {0};
	CLEANUP_TEXT struct text text = {0};

	sysroot_list(root, "/sys/class/dmi/id", &names);
	for (size_t i = 0; i < names.count; i++) {
		CLEANUP_FREE char *value = sysroot_read(root, "/sys/class/dmi/id/%s", names.items[i]);

		if (value)
			text_addf(&text, "%s: %s\n", names.items[i], value);
	}
	if (text.bytes)
		add_text(archive, "hardware/dmi", text.data);
}

/* Ours, and what the image's scripts have written beside it. */
static void add_logs(struct text *archive, const struct live_state *state)
{
	CLEANUP_STRV struct strv names = {0};

	sysroot_list("", state->options->run_dir, &names);
	for (size_t i = 0; i < names.count; i++) {
		CLEANUP_FREE char *text = NULL, *name = xasprintf("log/%s", names.items[i]);

		if (!str_ends_with(names.items[i], ".log") && !str_ends_with(names.items[i], ".log.1"))
			continue;
		text = sysroot_read("", "%s/%s", state->options->run_dir, names.items[i]);
		add_text(archive, name, text);
	}
}

static void add_all(struct text *archive, const struct live_state *state)
{
	static const char *const buses[] = {"pci", "usb", "scsi", "virtio", "nvme"};
	const char *const scan[] = {state->options->program, "scan", "--json", NULL};
	const char *const addresses[] = {"ip", "address", NULL};

	add_logs(archive, state);
	add_kernel_log(archive);
	add_command(archive, "scan.json", state->log, scan);
	add_command(archive, "ip-address", state->log, addresses);
	add_files(archive, state);
	for (size_t i = 0; i < sizeof buses / sizeof *buses; i++)
		add_devices(archive, state, buses[i]);
	add_firmware(archive, state);
	live_tar_end(archive);
}

static struct err *write_all(const char *path, const char *data, size_t bytes)
{
	CLEANUP_FD int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	if (fd < 0)
		return err_from_errno(errno, "%s", path);
	while (bytes) {
		ssize_t put = write(fd, data, bytes);

		if (put < 0 && errno == EINTR)
			continue;
		if (put <= 0)
			return err_from_errno(put < 0 ? errno : ENOSPC, "%s", path);
		data += put;
		bytes -= put;
	}
	return NULL;
}

struct err *live_bundle_make(const struct live_state *state, char **ret_path)
{
	CLEANUP_FREE char *path = xasprintf("%s/p2v-%s.tar.zst", state->options->run_dir,
					    state->name ? state->name : "machine");
	CLEANUP_TEXT struct text archive = {0};
	CLEANUP_FREE char *packed = NULL;
	size_t bytes;

	add_all(&archive, state);
	packed = xmalloc(ZSTD_compressBound(archive.bytes));
	bytes = ZSTD_compress(packed, ZSTD_compressBound(archive.bytes), archive.data, archive.bytes, LEVEL);
	if (ZSTD_isError(bytes))
		return err_failed("%s: %s", path, ZSTD_getErrorName(bytes));
	TRY(write_all(path, packed, bytes));
	log_info(state->log, "made %s of %zu bytes", path, bytes);
	*ret_path = take_ptr(path);
	return NULL;
}
