/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Proof that an image boots: a throw-away overlay of it is started in QEMU, on
 * the target's kind of hardware, with a unit injected into that overlay alone
 * that reports from inside what the system runs on.  The report is compared
 * with machine.json.
 *
 *	struct plan *plan = plan_create(guest of the overlay);
 *	prove_plan(inspection, plan);  plan_apply(plan, log);
 *	serve the overlays, prove_run(&options, machine, &proof);
 *	proof_verdict(&proof)
 *
 * What cannot be emulated is stood in for, and the proof says by what, and what
 * it therefore does not prove.
 */
#ifndef P2V_PROVE_PROVE_H
#define P2V_PROVE_PROVE_H

#include "p2v/base/json.h"
#include "p2v/base/log.h"
#include "p2v/base/machine.h"
#include "p2v/guest/inspect.h"
#include "p2v/guest/plan.h"
#include "p2v/handover/vm.h"
#include "p2v/prove/report.h"

/*
 * Plans the reporting unit.  Only ever for a throw-away overlay.  ERR_REFUSED for systems without
 * systemd.  An enforcing SELinux policy may keep an unlabelled unit from running: then a finding says so.
 */
struct err *prove_plan(const struct inspection *inspection, struct plan *plan) ERR_MUST_CHECK;

struct prove_options {
	const struct vm *vm; /* the machine to prove: vm_derive() for the target */
	const char *const *nbd_sockets; /* the overlays, one a disk of vm, in its order; NULL-ended */
	/* The drivers that the guest has when it boots (inject_kernel_result.drivers), to choose a
	 * stand-in it can use; NULL: not known. */
	const struct strv *drivers;
	/* Failed units that the original had as well; NULL: none. */
	const struct strv *ignored_units;
	const char *scratch_dir; /* for sockets, NVRAM and logs: a short path (a socket's has at most 107
				    bytes) */
	const char *screenshot; /* PNG to be written, also when the boot fails; NULL: none */
	const char *console_log; /* file that gets all console output; NULL: none */
	uint64_t memory_bytes; /* 0: the machine's, at most 2 GiB */
	unsigned processors; /* 0: the machine's, at most 2 */
	uint64_t time_limit_ns; /* until the report; 0: 10 minutes */
	const char *accelerator; /* "kvm", "tcg"; NULL: kvm if it works here */
	const struct log *log;
};

struct proof_check {
	char *name; /* "root", "disks", "nic enp0s2", … */
	int ok;
	char *detail;
};

/* What happened, and what it says. */
struct proof {
	int ok; /* the system came up, and every check passed */
	const char *hardware; /* "kvm", "hyperv-gen1", … */
	enum firmware firmware;
	char *accelerator; /* "kvm", "tcg" */
	uint64_t duration_ns; /* from power-on to the report, or to the failure */
	char *failure; /* why there is no report: one line; NULL if there is one */
	char *advice; /* what to do about the failure, or NULL */
	struct strv console_tail; /* last lines of the console */
	char *screenshot; /* NULL if there is none */
	struct report report; /* empty if there is none */
	struct proof_check *checks;
	size_t check_count;
	struct strv stand_ins; /* "IDE controller PIIX3 for the boot disk, in place of …" */
	struct strv not_proven; /* one sentence each */
};

/*
 * Boots the machine and waits for its report, at most the time limit.  An error means that nothing was
 * tried (ERR_REFUSED: QEMU or OVMF not installed, naming the packages) or that QEMU itself failed.  A
 * machine that does not come up is no error here, but a proof with ok == 0 and the reason in `failure`.
 * machine is what the system is expected to show: names, MAC addresses and static addresses of its NICs,
 * sizes of its disks.
 */
struct err *prove_run(const struct prove_options *options, const struct machine *machine,
		      struct proof *ret_proof) ERR_MUST_CHECK;
void proof_deinit(struct proof *proof);
#define CLEANUP_PROOF CLEANUP(proof_deinit)

/* NULL if all is well, else ERR_FAILED with the failure, or the failed checks, as its message. */
struct err *proof_verdict(const struct proof *proof) ERR_MUST_CHECK;

/* For people: what was booted on what, each check, stand-ins, what is not proven. */
void proof_format(const struct proof *proof, struct text *ret_text);

/* The "proof" member of p2v-report.json(5); the caller's reference. */
json_t *proof_to_json(const struct proof *proof);

#endif
