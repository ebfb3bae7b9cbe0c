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

#define ADVICE_DRIVER "the initramfs may lack the disk's driver, or root= may name what is not there"
#define ADVICE_LOADER "the boot loader or its files are missing or damaged"
#define ADVICE_UNITS "the failed units and the console's log say what is missing"

static const struct console_end ends[] = {
	{"No bootable device", "the BIOS found nothing to boot", ADVICE_LOADER, 0},
	{"Missing operating system", "the boot sector found no operating system", ADVICE_LOADER, 0},
	{"No bootable option or device was found", "the UEFI firmware found nothing to boot",
	 "\\EFI\\BOOT\\BOOTX64.EFI must be on the EFI system partition: a new machine has no boot entries",
	 0},
	{"UEFI Interactive Shell", "the UEFI firmware found nothing to boot and opened its shell",
	 "\\EFI\\BOOT\\BOOTX64.EFI must be on the EFI system partition: a new machine has no boot entries",
	 0},
	{"Security Violation", "Secure Boot refused the boot loader",
	 "its signature is not Microsoft's: turn Secure Boot off for this machine", 0},
	{"bad shim signature", "Secure Boot refused the kernel",
	 "its signature is not known to shim: turn Secure Boot off for this machine", 0},
	{"grub rescue>", "GRUB did not find its files", ADVICE_LOADER, 0},
	{"grub>", "GRUB found no configuration", ADVICE_LOADER, 0},
	{"Kernel panic - not syncing", "the kernel panicked", ADVICE_DRIVER, 5},
	{"(initramfs) ", "the initramfs gave up and opened its shell", ADVICE_DRIVER, 0},
	{"dracut:/#", "the initramfs gave up and opened its shell", ADVICE_DRIVER, 0},
	{"Entering emergency mode", "the system ended in emergency mode", ADVICE_UNITS, 60},
	{"You are in emergency mode", "the system ended in emergency mode", ADVICE_UNITS, 60},
	{"Give root password for maintenance", "the system ended in emergency mode", ADVICE_UNITS, 60},
	{"root account is locked", "the system ended in emergency mode", ADVICE_UNITS, 60},
};

const struct console_end *console_find_end(const char *data, size_t bytes)
{
	for (size_t i = 0; i < sizeof ends / sizeof *ends; i++)
		if (bytes && memmem(data, bytes, ends[i].text, strlen(ends[i].text)))
			return &ends[i];
	return NULL;
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
