/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Boots a throw-away overlay of images, once for each target. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "p2v/base/mem.h"
#include "p2v/cmd/cmd.h"
#include "p2v/cmd/prove.h"
#include "p2v/cmd/session.h"
#include "p2v/prove/prove.h"

/* "web.png" for the only target, "web-kvm.png" for one of several. */
static char *screenshot_path(const struct prove_command *command, enum target target)
{
	const char *dot = command->screenshot ? strrchr(command->screenshot, '.') : NULL;

	if (!command->screenshot || !(command->targets & ~(unsigned)target))
		return xstrdup(command->screenshot);
	if (!dot || strchr(dot, '/'))
		dot = command->screenshot + strlen(command->screenshot);
	return xasprintf("%.*s-%s%s", (int)(dot - command->screenshot), command->screenshot,
			 target_name(target), dot);
}

static struct err *inject_reporter(struct session *session)
{
	CLEANUP_PLAN struct plan *plan = plan_create(session->guest);

	TRY(prove_plan(&session->inspection, plan));
	return plan_apply(plan, session->log);
}

/* Units that only the old hardware has work for may fail: they are findings of the conversion. */
static void collect_leftover_units(const struct inspection *inspection, struct strv *units)
{
	for (size_t i = 0; i < inspection->leftover_count; i++)
		if (inspection->leftovers[i].unit)
			strv_add(units, inspection->leftovers[i].unit);
}

static struct err *boot(const struct prove_command *command, struct session *session, enum target target,
			struct proof *ret_proof)
{
	const struct machine *machine = command->machine.disk_count ? &command->machine : &session->machine;
	const struct strv *drivers = command->drivers_known ? &command->drivers : NULL;
	CLEANUP_FREE const char **sockets = xcalloc(session->disk_count + 1, sizeof *sockets);
	CLEANUP_FREE char *screenshot = screenshot_path(command, target);
	CLEANUP_STRV struct strv ignored = {0};
	CLEANUP_VM struct vm vm = {0};
	struct vm_options vm_options = {.firmware = command->firmware, .drivers = drivers};
	struct prove_options options = {
		.vm = &vm,
		.nbd_sockets = sockets,
		.drivers = drivers,
		.ignored_units = &ignored,
		.scratch_dir = scratch_path(session->run),
		.screenshot = screenshot,
		.log = session->log,
	};

	for (size_t i = 0; i < session->disk_count; i++)
		sockets[i] = server_socket(session->disks[i].server);
	collect_leftover_units(&session->inspection, &ignored);
	TRY(vm_derive(machine, target, &vm_options, &vm));
	return prove_run(&options, machine, ret_proof);
}

static struct err *prove_on(const struct prove_command *command, enum target target, const struct log *log,
			    struct proof *ret_proof)
{
	CLEANUP_SCRATCH struct scratch *work = NULL;
	CLEANUP_SESSION struct session session = {0};

	TRY(scratch_create(cmd_temporary_dir(), "p2v-prove", &work));
	TRY(session_open(&command->images, scratch_path(work), 0, log, &session));
	TRY(session_inspect(&session));
	TRY(inject_reporter(&session));
	TRY(session_release_guest(&session));
	return boot(command, &session, target, ret_proof);
}

struct err *prove_targets(const struct prove_command *command, const struct log *log, json_t *proofs)
{
	struct err *verdict = NULL;

	for (unsigned target = 1; target <= TARGET_XEN; target <<= 1) {
		CLEANUP_PROOF struct proof proof = {0};
		CLEANUP_TEXT struct text text = {0};
		struct err *err;

		if (!(command->targets & target))
			continue;
		log_info(log, "booting on the hardware of %s", target_name(target));
		err = prove_on(command, target, log, &proof);
		if (err)
			return err_first(verdict, err);
		verdict = err_first(verdict, err_wrap(proof_verdict(&proof), "%s", target_name(target)));
		json_array_append_new(proofs, proof_to_json(&proof));
		proof_format(&proof, &text);
		if (!command->json)
			fwrite(text.data, 1, text.bytes, stdout);
		fflush(stdout);
	}
	return verdict;
}
