/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Files of their own, so that a shell's checker can read them; the assembler takes them in. */
#include "iso/live-scripts.h"

__asm__(".pushsection .rodata\n"
	".globl live_dhcp_script\n"
	".hidden live_dhcp_script\n"
	"live_dhcp_script:\n"
	".incbin \"iso/live-dhcp.sh\"\n"
	".byte 0\n"
	".popsection\n");
