/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * One boot: starts QEMU, watches the report's port, the consoles and the
 * monitor until one of them ends the waiting, takes the screenshot, and stops
 * the machine.
 *
 * Everything is read by looking at files that QEMU appends to, a few times a
 * second; so nothing blocks, whatever the guest does, and the time limit holds.
 * QEMU dies with us (p2v/base/run.h).
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "p2v/base/mem.h"
#include "p2v/base/run.h"
#include "p2v/guest/kvm.h"
#include "p2v/prove/checks.h"
#include "p2v/prove/clean.h"
#include "p2v/prove/console.h"
#include "p2v/prove/prove.h"
#include "p2v/prove/qemu.h"
#include "p2v/prove/qmp.h"

#define NS_PER_S 1000000000ull
#define DEFAULT_LIMIT_NS (600 * NS_PER_S)
#define LOOK_NS (NS_PER_S / 4)
#define MONITOR_LIMIT_NS (30 * NS_PER_S)
#define STOP_LIMIT_NS (5 * NS_PER_S)
/* A firmware, a shim or an SELinux relabelling may reset once; this often it is a loop. */
#define MAX_RESETS 4
#define TAIL_LINES 12
#define MAX_CONSOLE_BYTES (1u << 20)

enum port { PORT_COM1, PORT_COM2, PORT_REPORT, PORT_COUNT };

struct boot {
	const struct prove_options *options;
	struct proof *proof;
	struct qemu_files files;
	struct child *qemu;
	struct qmp *qmp;
	struct console ports[PORT_COUNT];
	uint64_t start_ns;
	uint64_t limit_ns;
	const struct console_end *end; /* what a console showed, which one, and when */
	const struct console *end_port;
	uint64_t end_ns;
	unsigned resets;
};

static void boot_deinit(struct boot *boot)
{
	qmp_destroy(boot->qmp);
	child_stop(boot->qemu, STOP_LIMIT_NS);
	for (size_t i = 0; i < PORT_COUNT; i++)
		console_deinit(&boot->ports[i]);
	qemu_files_deinit(&boot->files);
}

static void fail(struct boot *boot, const char *advice, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static void fail(struct boot *boot, const char *advice, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	boot->proof->failure = xvasprintf(format, args);
	va_end(args);
	boot->proof->advice = xstrdup(advice);
}

/* The last line of QEMU's own messages. */
static char *last_message(const struct boot *boot)
{
	struct console messages = {.path = boot->files.messages, .max_bytes = 65536};
	CLEANUP_STRV struct strv lines = {0};

	console_refresh(&messages);
	if (messages.text.bytes)
		clean_tail(messages.text.data, messages.text.bytes, 1, &lines);
	console_deinit(&messages);
	return xstrdup(lines.count ? lines.items[0] : "no message");
}

static struct err *start(struct boot *boot, const struct strv *argv)
{
	struct run_options run_options = {.log = boot->options->log};
	struct err *err;

	boot->start_ns = run_now_ns();
	TRY(child_start((const char *const *)argv->items, boot->files.messages, &run_options, &boot->qemu));
	err = qmp_connect(boot->files.monitor, MONITOR_LIMIT_NS, &boot->qmp);
	if (err && child_wait(boot->qemu, NS_PER_S) >= 0) {
		CLEANUP_FREE char *message = last_message(boot);

		err_free(err);
		return err_failed("QEMU does not start: %s", message);
	}
	return err;
}

/* True if a port has a whole report; it is then in the proof. */
static bool look_for_report(struct boot *boot)
{
	/* The report's own port comes last: it is the usual place. */
	for (size_t i = PORT_COUNT; i--;) {
		const struct text *text = &boot->ports[i].text;

		if (text->bytes &&
		    report_parse(text->data, text->bytes, &boot->proof->report) == REPORT_COMPLETE)
			return true;
	}
	return false;
}

static void look_for_end(struct boot *boot)
{
	for (size_t i = 0; !boot->end && i < PORT_REPORT; i++) {
		boot->end = console_find_end(boot->ports[i].text.data, boot->ports[i].text.bytes);
		boot->end_port = &boot->ports[i];
		boot->end_ns = run_now_ns();
	}
	if (boot->end && run_now_ns() - boot->end_ns >= boot->end->grace_s * NS_PER_S) {
		const struct text *text = &boot->end_port->text;
		CLEANUP_FREE char *cause = console_find_cause(boot->end, text->data, text->bytes);

		fail(boot, boot->end->advice, "%s%s%s", boot->end->meaning, cause ? ": " : "",
		     cause ? cause : "");
	}
}

/* The console up to a reset says nothing about the boot that follows. */
static void forget_consoles(struct boot *boot)
{
	for (size_t i = 0; i < PORT_COUNT; i++) {
		boot->ports[i].text.bytes = 0;
		if (boot->ports[i].text.data)
			boot->ports[i].text.data[0] = '\0';
	}
	boot->end = NULL;
}

static void look_at_events(struct boot *boot)
{
	for (json_t *event; !boot->proof->failure && (event = qmp_next_event(boot->qmp));
	     json_decref(event)) {
		const char *name = json_string_or(event, "event", "");

		if (!strcmp(name, "RESET")) {
			log_debug(boot->options->log, "prove: the machine resets");
			if (++boot->resets > MAX_RESETS)
				fail(boot, "its console log may say why", "it resets again and again");
			else
				forget_consoles(boot);
		} else if (!strcmp(name, "SHUTDOWN")) {
			fail(boot, "its console log may say why", "it powered off before it reported");
		}
	}
}

/* Until there is a report or a failure. */
static struct err *watch(struct boot *boot)
{
	while (!boot->proof->failure) {
		int status = child_wait(boot->qemu, LOOK_NS);

		for (size_t i = 0; i < PORT_COUNT; i++)
			console_refresh(&boot->ports[i]);
		if (look_for_report(boot))
			return NULL;
		look_at_events(boot);
		if (status >= 0 && !boot->proof->failure) {
			CLEANUP_FREE char *message = last_message(boot);

			return err_failed("QEMU ended with status %d: %s", status, message);
		}
		if (!boot->proof->failure)
			look_for_end(boot);
		if (!boot->proof->failure && run_now_ns() - boot->start_ns > boot->limit_ns)
			fail(boot,
			     "its screenshot and console log show how far it came; where SELinux is "
			     "enforcing, "
			     "the policy may have kept the reporting unit from running",
			     "no report within %llu s", (unsigned long long)(boot->limit_ns / NS_PER_S));
	}
	return NULL;
}

/* A prompt is on the screen already, or was waited for inside; a failure has just been printed. */
static void take_screenshot(struct boot *boot)
{
	const char *path = boot->options->screenshot;
	struct timespec pause = {.tv_sec = boot->proof->report.system.has_prompt ? 1 : 3};
	CLEANUP_FREE char *part = NULL;
	struct err *err;

	if (!path)
		return;
	nanosleep(&pause, NULL);
	part = xasprintf("%s.part", path);
	err = qmp_run(boot->qmp, "screendump", json_pack("{s:s, s:s}", "filename", part, "format", "png"),
		      MONITOR_LIMIT_NS);
	if (!err && rename(part, path))
		err = err_from_errno(errno, "%s", path);
	if (err) {
		/* QEMU writes PNG since 7.1. */
		log_warning(boot->options->log, "no screenshot: %s", err_message(err));
		err_free(err);
		unlink(part);
		return;
	}
	boot->proof->screenshot = xstrdup(path);
}

/* What both consoles said, one after the other, for people. */
static struct err *keep_console_log(const struct boot *boot)
{
	const char *path = boot->options->console_log;
	CLEANUP_FCLOSE FILE *file = NULL;

	if (!path)
		return NULL;
	file = fopen(path, "we");
	if (!file)
		return err_from_errno(errno, "%s", path);
	for (size_t i = 0; i < PORT_REPORT; i++) {
		struct console whole = {.path = boot->files.console[i], .max_bytes = 16 * MAX_CONSOLE_BYTES};
		bool is_written;

		console_refresh(&whole);
		fprintf(file, "%s== COM%zu ==\n", i ? "\n" : "", i + 1);
		is_written = !whole.text.bytes ||
			     fwrite(whole.text.data, 1, whole.text.bytes, file) == whole.text.bytes;
		console_deinit(&whole);
		if (!is_written)
			return err_from_errno(errno, "%s", path);
	}
	return fflush(file) ? err_from_errno(errno, "%s", path) : NULL;
}

/* The console that said most: a system has one, and the other port only a word of the firmware. */
static void keep_tail(const struct boot *boot)
{
	const struct console *console = &boot->ports[PORT_COM1];

	if (boot->ports[PORT_COM2].read_bytes > console->read_bytes)
		console = &boot->ports[PORT_COM2];
	if (console->text.bytes)
		clean_tail(console->text.data, console->text.bytes, TAIL_LINES, &boot->proof->console_tail);
}

static void describe(struct proof *proof, struct hardware *hardware, const struct prove_options *options,
		     const struct qemu_machine *machine)
{
	const struct vm *vm = options->vm;

	proof->hardware = hardware->name;
	proof->firmware = vm->firmware;
	proof->accelerator = xstrdup(machine->accelerator);
	proof->stand_ins = hardware->stand_ins;
	proof->not_proven = hardware->not_proven;
	hardware->stand_ins = hardware->not_proven = (struct strv){0};
	if (!strcmp(machine->accelerator, "tcg"))
		strv_add(&proof->not_proven, "The processor was emulated: speed, and features of the host's "
					     "own processor, were not tried.");
	if (machine->processors != vm->processors || machine->memory_bytes != vm->memory_bytes)
		strv_addf(&proof->not_proven,
			  "It ran with %u processors and %llu MiB of memory, not its own %u and %llu.",
			  machine->processors, (unsigned long long)(machine->memory_bytes >> 20),
			  vm->processors, (unsigned long long)(vm->memory_bytes >> 20));
	if (vm->secure_boot && !machine->is_secure_boot)
		strv_add(&proof->not_proven, "Secure Boot was off: no firmware with Microsoft's keys is "
					     "installed here.");
}

static struct err *run_boot(struct boot *boot, const struct strv *argv)
{
	struct err *err = start(boot, argv);

	if (!err)
		err = watch(boot);
	boot->proof->duration_ns = run_now_ns() - boot->start_ns;
	if (err)
		return err;
	take_screenshot(boot);
	/* The overlay is thrown away: nothing is lost with the power. */
	err_free(qmp_run(boot->qmp, "quit", NULL, STOP_LIMIT_NS));
	keep_tail(boot);
	return keep_console_log(boot);
}

static struct err *boot_with(const char *accelerator, const struct prove_options *options,
			     struct hardware *hardware, struct proof *proof)
{
	CLEANUP(boot_deinit)
	struct boot boot = {
		.options = options,
		.proof = proof,
		.limit_ns = options->time_limit_ns ? options->time_limit_ns : DEFAULT_LIMIT_NS,
	};
	struct qemu_machine qemu_machine;
	CLEANUP_STRV struct strv argv = {0};

	TRY(qemu_prepare(options, hardware, accelerator, &boot.files, &qemu_machine, &argv));
	for (size_t i = 0; i < PORT_COUNT; i++)
		boot.ports[i] = (struct console){
			.path = i < PORT_REPORT ? boot.files.console[i] : boot.files.report,
			.max_bytes = MAX_CONSOLE_BYTES,
		};
	log_info(options->log, "booting on %s hardware (%s)", hardware->name, accelerator);
	TRY(run_boot(&boot, &argv));
	describe(proof, hardware, options, &qemu_machine);
	return NULL;
}

/* KVM that passed its test may yet fail: then everything is tried again, emulated, unless the user chose it.
 */
static struct err *boot_somehow(const struct prove_options *options, struct hardware *hardware,
				struct proof *proof)
{
	struct err *err;

	if (options->accelerator)
		return boot_with(options->accelerator, options, hardware, proof);
	if (!kvm_works(options->scratch_dir, options->log))
		return boot_with("tcg", options, hardware, proof);
	err = boot_with("kvm", options, hardware, proof);
	if (!err || err_kind(err) != ERR_FAILED)
		return err;
	log_warning(options->log, "with KVM: %s; trying again, emulated", err_message(err));
	err_free(err);
	proof_deinit(proof);
	return boot_with("tcg", options, hardware, proof);
}

static struct err *prove(const struct prove_options *options, const struct machine *machine,
			 struct hardware *hardware, struct proof *proof)
{
	TRY(boot_somehow(options, hardware, proof));
	if (proof->failure)
		return NULL;
	checks_run(machine, options->vm, hardware, options->ignored_units, proof);
	proof->ok = 1;
	for (size_t i = 0; i < proof->check_count; i++)
		proof->ok &= proof->checks[i].ok;
	return NULL;
}

struct err *prove_run(const struct prove_options *options, const struct machine *machine,
		      struct proof *ret_proof)
{
	CLEANUP_HARDWARE struct hardware hardware = {0};
	struct proof proof = {0};
	struct err *err = hardware_choose(options->vm, options->drivers, &hardware);

	if (!err)
		err = prove(options, machine, &hardware, &proof);
	if (err)
		proof_deinit(&proof);
	else
		*ret_proof = proof;
	return err;
}
