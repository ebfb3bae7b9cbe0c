/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tests/prove/lib-bootable.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "p2v/base/cleanup.h"

#define PAYLOAD_BYTES (32 * 512)

/*
 * At 0x7c00: reads 32 sectors from the second on to 0x8000 (INT 13h, AH=42h),
 * prints two NUL-ended texts on the ports 0x3f8 and 0x2e8, waiting for the
 * transmitter each time, and does what the byte behind them says.  SeaBIOS
 * mirrors its screen to COM1 and holds the last characters back until a timer
 * tick: some ticks are waited for, and then interrupts are off.
 */
static const unsigned char boot_code[] = {0xfa, /* cli */
					  0x31, 0xc0, /* xor %ax,%ax */
					  0x8e, 0xd8, /* mov %ax,%ds */
					  0x8e, 0xc0, /* mov %ax,%es */
					  0x8e, 0xd0, /* mov %ax,%ss */
					  0xbc, 0x00, 0x7c, /* mov $0x7c00,%sp */
					  0xfb, /* sti */
					  0xfc, /* cld */
					  0xbe, 0x59, 0x7c, /* mov $packet,%si */
					  0xb4, 0x42, /* mov $0x42,%ah */
					  0xcd, 0x13, /* int $0x13 */
					  0xf4, 0xf4, 0xf4, /* hlt: three ticks */
					  0xfa, /* cli */
					  0xbe, 0x00, 0x80, /* mov $0x8000,%si */
					  0xbb, 0xf8, 0x03, /* mov $0x3f8,%bx */
					  0xe8, 0x20, 0x00, /* call print */
					  0xbb, 0xe8, 0x02, /* mov $0x2e8,%bx */
					  0xe8, 0x1a, 0x00, /* call print */
					  0xac, /* lodsb */
					  0x3c, 0x72, /* cmp $'r',%al */
					  0x75, 0x06, /* jne 1f */
					  0xba, 0xf9, 0x0c, /* mov $0xcf9,%dx: reset control */
					  0xb0, 0x06, /* mov $6,%al */
					  0xee, /* out %al,(%dx) */
					  0x3c, 0x70, /* 1: cmp $'p',%al */
					  0x75, 0x07, /* jne 2f */
					  0xba, 0x04, 0x06, /* mov $0x604,%dx: PM1a control of the q35 */
					  0xb8, 0x00, 0x20, /* mov $0x2000,%ax: sleep enable, S5 */
					  0xef, /* out %ax,(%dx) */
					  0xfa, /* 2: cli */
					  0xf4, /* hlt */
					  0xeb, 0xfc, /* jmp 2b */
					  0xac, /* print: lodsb */
					  0x84, 0xc0, /* test %al,%al */
					  0x74, 0x11, /* jz 4f */
					  0x88, 0xc1, /* mov %al,%cl */
					  0x8d, 0x57, 0x05, /* lea 5(%bx),%dx */
					  0xec, /* 3: in (%dx),%al */
					  0xa8, 0x20, /* test $0x20,%al */
					  0x74, 0xfb, /* jz 3b */
					  0x89, 0xda, /* mov %bx,%dx */
					  0x88, 0xc8, /* mov %cl,%al */
					  0xee, /* out %al,(%dx) */
					  0xeb, 0xea, /* jmp print */
					  0xc3, /* 4: ret */
					  /* packet: size, sectors, segment:offset, first sector */
					  0x10, 0x00, 0x20, 0x00, 0x00, 0x80, 0x00, 0x00, 0x01, 0, 0, 0, 0, 0,
					  0, 0};

void bootable_write(const char *path, const char *console, const char *report, enum bootable_end end)
{
	unsigned char disk[512 + PAYLOAD_BYTES] = {0};
	CLEANUP_FD int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	char *to = (char *)disk + 512;

	assert_true(fd >= 0);
	assert_true((console ? strlen(console) : 0) + (report ? strlen(report) : 0) + 3 <= PAYLOAD_BYTES);
	memcpy(disk, boot_code, sizeof boot_code);
	disk[510] = 0x55;
	disk[511] = 0xaa;
	if (console)
		to = stpcpy(to, console);
	to++;
	if (report)
		to = stpcpy(to, report);
	to[1] = end;
	assert_int_equal(write(fd, disk, sizeof disk), sizeof disk);
	assert_int_equal(ftruncate(fd, BOOTABLE_BYTES), 0);
}
