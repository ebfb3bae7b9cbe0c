/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Files of their own, so that a shell's checker and a reader can have them; the
 * assembler takes them in (C17 has no #embed).  Paths are relative to the
 * repository's root, where make runs.
 */
#include "iso/build-assets.h"

#include <stddef.h>

#define TAKE_IN(symbol, file)                      \
	extern const char symbol[];                \
	__asm__(".pushsection .rodata\n"           \
		".globl " #symbol "\n"             \
		".hidden " #symbol "\n"            \
		"" #symbol ":\n"                   \
		".incbin \"iso/image/" file "\"\n" \
		".byte 0\n"                        \
		".popsection\n")

TAKE_IN(asset_init, "init");
TAKE_IN(asset_hotplug, "hotplug");
TAKE_IN(asset_protect_partitions, "protect-partitions");
TAKE_IN(asset_join_paths, "join-paths");
TAKE_IN(asset_remote_help, "remote-help");
TAKE_IN(asset_assemble, "assemble");
TAKE_IN(asset_disassemble, "disassemble");
TAKE_IN(asset_grub, "grub.cfg");
TAKE_IN(asset_grub_network, "grub-network.cfg");
TAKE_IN(asset_ipxe, "p2v.ipxe");

const struct asset asset_scripts[] = {
	{"/init", asset_init},
	{"/usr/lib/p2v/hotplug", asset_hotplug},
	{"/usr/lib/p2v/protect-partitions", asset_protect_partitions},
	{"/usr/lib/p2v/join-paths", asset_join_paths},
	{"/usr/lib/p2v/remote-help", asset_remote_help},
	{"/usr/lib/p2v/assemble", asset_assemble},
	{"/usr/lib/p2v/disassemble", asset_disassemble},
	{NULL, NULL},
};
