/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * report.sh as a string.  It is kept as a file of its own so that a shell's
 * checker can read it; the assembler takes it in (C17 has no #embed).  Paths
 * are relative to the repository's root, where make runs.
 */
#include "p2v/prove/script.h"

__asm__(".pushsection .rodata\n"
	".globl prove_script\n"
	".hidden prove_script\n"
	"prove_script:\n"
	".incbin \"p2v/prove/report.sh\"\n"
	".byte 0\n"
	".popsection\n");
