/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What a target's host needs to define the VM: one file, or several, beside the
 * images.  One writer a target, one table.
 */
#ifndef P2V_HANDOVER_HANDOVER_H
#define P2V_HANDOVER_HANDOVER_H

#include "p2v/handover/vm.h"

struct handover {
	enum target target;
	const char *extension; /* the file is VM.file_name + extension */
	const char *use; /* how to use it, for people: "run it in PowerShell on the Hyper-V host" */
	/* The file's content. */
	struct err *(*format)(const struct vm *vm, struct text *ret_text);
};

extern const struct handover handover_hyperv; /* a PowerShell script */
extern const struct handover handover_libvirt; /* a libvirt domain, for targets KVM */

/* The writer of a target; NULL if there is none (yet). */
const struct handover *handover_find(enum target target);

/*
 * Writes the files for vm->target into dir, each whole or not at all, over what is there of an earlier
 * run.  Their names are added to ret_names.  ERR_REFUSED for a target without a writer.
 */
struct err *handover_write(const struct vm *vm, const char *dir, struct strv *ret_names) ERR_MUST_CHECK;

#endif
