/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A VM on chosen hardware as QEMU's command line, with its files in a scratch folder. */
#ifndef P2V_PROVE_QEMU_H
#define P2V_PROVE_QEMU_H

#include "p2v/prove/hardware.h"
#include "p2v/prove/prove.h"

/* Files of one run, all below the scratch folder. */
struct qemu_files {
	char *monitor; /* QMP socket */
	char *console[2]; /* what COM1 and COM2 say */
	char *report; /* what the report's port says */
	char *variables; /* UEFI's NVRAM */
	char *console_port; /* tells SeaBIOS to show its screen on COM1 as well */
	char *messages; /* QEMU's own */
	char *screenshot;
};

/* What the machine gets, and what it differs in from the VM's description. */
struct qemu_machine {
	const char *accelerator; /* "kvm", "tcg" */
	unsigned processors;
	uint64_t memory_bytes;
	bool is_secure_boot;
};

/*
 * Prepares the files and adds the whole argument vector to ret_argv.  ERR_REFUSED: QEMU or its UEFI
 * firmware is not installed, or the scratch folder's path is too long for a socket.  ret_files and
 * ret_machine are set also on failure.
 */
struct err *qemu_prepare(const struct prove_options *options, const struct hardware *hardware,
			 const char *accelerator, struct qemu_files *ret_files,
			 struct qemu_machine *ret_machine, struct strv *ret_argv) ERR_MUST_CHECK;
void qemu_files_deinit(struct qemu_files *files);

#endif
