/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The texts are those of SeaBIOS, OVMF, GRUB, shim, the kernel, initramfs-tools,
 * dracut and systemd.
 */
#include "p2v/prove/console.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "p2v/base/cleanup.h"
#include "p2v/prove/clean.h"

#define ADVICE_DRIVER "the initramfs may lack the disk's driver, or root= may name what is not there"
#define ADVICE_LOADER "the boot loader or its files are missing or damaged"
#define ADVICE_UNITS "the failed units and the console's log say what is missing"

#define ADVICE_FALLBACK \
	"\\EFI\\BOOT\\BOOTX64.EFI must be on the EFI system partition: a new machine has no boot entries"
#define ADVICE_SECURE_BOOT "a signature is not known: turn Secure Boot off for this machine"

static const struct console_end ends[] = {
	{"No bootable device", "the BIOS found nothing to boot", ADVICE_LOADER, "Boot failed", 0},
	{"Missing operating system", "the boot sector found no operating system", ADVICE_LOADER, NULL, 0},
	{"No bootable option or device was found", "the UEFI firmware found nothing to boot", ADVICE_FALLBACK,
	 "BdsDxe: failed", 0},
	{"UEFI Interactive Shell", "the UEFI firmware found nothing to boot and opened its shell",
	 ADVICE_FALLBACK, "BdsDxe: failed", 0},
	{"Security Violation", "Secure Boot refused the boot loader", ADVICE_SECURE_BOOT, NULL, 0},
	{"bad shim signature", "Secure Boot refused the kernel", ADVICE_SECURE_BOOT, NULL, 0},
	{"grub rescue>", "GRUB did not find its files", ADVICE_LOADER, "error: ", 0},
	{"grub>", "GRUB found no configuration", ADVICE_LOADER, "error: ", 0},
	{"Kernel panic - not syncing", "the kernel panicked", ADVICE_DRIVER, NULL, 5},
	{"(initramfs) ", "the initramfs gave up and opened its shell", ADVICE_DRIVER, "ALERT!", 0},
	{"dracut:/#", "the initramfs gave up and opened its shell", ADVICE_DRIVER, "Warning: ", 0},
	{"Entering emergency mode", "the system ended in emergency mode", ADVICE_UNITS, "FAILED", 60},
	{"You are in emergency mode", "the system ended in emergency mode", ADVICE_UNITS, "FAILED", 60},
	{"Give root password for maintenance", "the system ended in emergency mode", ADVICE_UNITS, "FAILED",
	 60},
	{"root account is locked", "the system ended in emergency mode", ADVICE_UNITS, "FAILED", 60},
};

const struct console_end *console_find_end(const char *data, size_t bytes)
{
	for (size_t i = 0; i < sizeof ends / sizeof *ends; i++)
		if (bytes && memmem(data, bytes, ends[i].text, strlen(ends[i].text)))
			return &ends[i];
	return NULL;
}

char *console_find_cause(const struct console_end *end, const char *data, size_t bytes)
{
	const char *text = end->cause ? end->cause : end->text;
	const char *found = NULL, *start, *stop;

	for (const char *at = data; (at = memmem(at, data + bytes - at, text, strlen(text))); at++)
		found = at;
	if (!found)
		return NULL;
	start = memrchr(data, '\n', found - data);
	stop = memchr(found, '\n', data + bytes - found);
	start = start ? start + 1 : data;
	return clean_line(start, (stop ? stop : data + bytes) - start);
}

void console_refresh(struct console *console)
{
	CLEANUP_FD int fd = open(console->path, O_RDONLY | O_CLOEXEC);
	char buf[65536];
	ssize_t got;

	while (fd >= 0 && (got = pread(fd, buf, sizeof buf, console->read_bytes)) > 0) {
		console->read_bytes += got;
		text_add(&console->text, buf, got);
		if (console->text.bytes > 2 * console->max_bytes) {
			memmove(console->text.data,
				console->text.data + console->text.bytes - console->max_bytes,
				console->max_bytes + 1);
			console->text.bytes = console->max_bytes;
		}
	}
}

void console_deinit(struct console *console)
{
	text_deinit(&console->text);
}
