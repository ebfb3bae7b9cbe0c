/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Starting libguestfs.  Whatever environment variables say of its backend, it
 * is "direct": a hypervisor of our own, without libvirt.  The order of attempts:
 * KVM if it was seen to work; emulated with the unpacked kernel; emulated as
 * libguestfs does it.  A hypervisor that hangs is ended at the time limit.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "p2v/base/mem.h"
#include "p2v/base/run.h"
#include "p2v/base/strv.h"
#include "p2v/guest/appliance-impl.h"
#include "p2v/guest/appliance-kernel.h"
#include "p2v/guest/hypervisor.h"
#include "p2v/guest/kvm.h"
#include "p2v/guest/launch-watch.h"

#define DEFAULT_LIMIT_NS 90000000000ull
#define MEMORY_MIB 1024

struct attempt {
	const char *accelerator;
	const char *built_dir; /* of libguestfs's own appliance; NULL: not known */
	bool unpacked_kernel;
};

static void take_message(guestfs_h *g, void *opaque, uint64_t event, int handle, int flags, const char *text,
			 size_t bytes, const uint64_t *array, size_t array_count)
{
	struct appliance_console *console = opaque;
	CLEANUP_FREE char *message = xstrndup(text, bytes);
	CLEANUP_STRV struct strv lines = {0};

	(void)g;
	(void)event;
	(void)handle;
	(void)flags;
	(void)array;
	(void)array_count;
	strv_split(&lines, message, "\r\n");
	for (size_t i = 0; i < lines.count; i++) {
		const char *line = lines.items[i];

		log_trace(console->log, "libguestfs: %s", line);
		if (line[strspn(line, " \t")])
			snprintf(console->last, sizeof console->last, "%s", line);
	}
}

static uint64_t time_limit_ns(const struct appliance_options *options)
{
	const char *seconds = getenv("P2V_APPLIANCE_TIMEOUT");
	unsigned long value = seconds ? strtoul(seconds, NULL, 10) : 0;

	if (options->time_limit_ns)
		return options->time_limit_ns;
	return value > 0 && value < 1000000 ? value * 1000000000ull : DEFAULT_LIMIT_NS;
}

static struct err *add_disks(struct appliance *appliance, const struct appliance_options *options)
{
	for (size_t i = 0; i < appliance->disk_count; i++) {
		CLEANUP_FREE char *server = xasprintf("unix:%s", options->nbd_sockets[i]);
		char *const servers[] = {server, NULL};
		struct guestfs_add_drive_opts_argv optargs = {
			.bitmask = GUESTFS_ADD_DRIVE_OPTS_FORMAT_BITMASK |
				   GUESTFS_ADD_DRIVE_OPTS_PROTOCOL_BITMASK |
				   GUESTFS_ADD_DRIVE_OPTS_SERVER_BITMASK |
				   GUESTFS_ADD_DRIVE_OPTS_READONLY_BITMASK,
			.format = "raw",
			.protocol = "nbd",
			.server = servers,
			.readonly = options->read_only,
		};

		if (options->sector_bytes && options->sector_bytes[i] == 4096) {
			optargs.bitmask |= GUESTFS_ADD_DRIVE_OPTS_BLOCKSIZE_BITMASK;
			optargs.blocksize = 4096;
		}
		if (guestfs_add_drive_opts_argv(appliance->g, "", &optargs))
			return appliance_error(appliance, "disk %zu", i + 1);
	}
	return NULL;
}

/*
 * What an emulated kernel is better without, measured: protection from other guests on the same processor
 * (there are none), of its memory from itself, and zeroing of what it allocates; and a dozen workers of udev,
 * which a single processor runs one after the other anyway.
 */
#define EMULATED_APPEND                                                              \
	"mitigations=off nokaslr audit=0 init_on_alloc=0 rodata=off lsm=capability " \
	"udev.children_max=3"

static struct err *set_emulated(struct appliance *appliance)
{
	const char *own = guestfs_get_append(appliance->g);
	CLEANUP_FREE char *append = xasprintf("%s " EMULATED_APPEND, own ? own : "");

	if (guestfs_set_backend_setting(appliance->g, "force_tcg", "1") ||
	    guestfs_set_append(appliance->g, append))
		return appliance_error(appliance, "libguestfs");
	return NULL;
}

/* Else libguestfs's own watch ends the hypervisor some seconds after us. */
static void bind_hypervisor(struct appliance *appliance)
{
	CLEANUP_FREE char *hypervisor = guestfs_get_hv(appliance->g);
	CLEANUP_FREE char *script = NULL;
	CLEANUP_ERR struct err *err = NULL;

	if (hypervisor)
		err = hypervisor_bind(hypervisor, appliance->scratch_dir, &script);
	if (err)
		log_debug(appliance->log, "the hypervisor would outlive us: %s", err_message(err));
	if (script && guestfs_set_hv(appliance->g, script))
		log_debug(appliance->log, "%s: %s", script, guestfs_last_error(appliance->g));
}

/* A handle with everything set but the disks. */
static struct err *create_handle(struct appliance *appliance, const struct attempt *attempt)
{
	guestfs_h *g = guestfs_create();

	if (!g)
		return err_from_errno(errno, "libguestfs");
	appliance->g = g;
	guestfs_set_error_handler(g, NULL, NULL);
	if (guestfs_set_event_callback(g, take_message,
				       GUESTFS_EVENT_APPLIANCE | GUESTFS_EVENT_LIBRARY | GUESTFS_EVENT_TRACE |
					       GUESTFS_EVENT_WARNING,
				       0, &appliance->console) < 0 ||
	    guestfs_set_backend(g, "direct") || guestfs_set_tmpdir(g, appliance->scratch_dir) ||
	    guestfs_set_pgroup(g, 1) || guestfs_set_network(g, 0) || guestfs_set_autosync(g, 1) ||
	    guestfs_set_memsize(g, MEMORY_MIB) || guestfs_set_smp(g, 1) ||
	    (appliance->log && appliance->log->max_level >= LOG_LEVEL_TRACE && guestfs_set_verbose(g, 1)))
		return appliance_error(appliance, "libguestfs");
	bind_hypervisor(appliance);
	return strcmp(attempt->accelerator, "tcg") == 0 ? set_emulated(appliance) : NULL;
}

/* Puts the unpacked kernel's folder in front of libguestfs's search path; without it, all still works. */
static void use_unpacked_kernel(struct appliance *appliance, const struct attempt *attempt)
{
	CLEANUP_FREE char *dir = xasprintf("%s/appliance", appliance->scratch_dir);
	CLEANUP_ERR struct err *err = appliance_unpack_kernel(attempt->built_dir, dir, appliance->log);

	if (err)
		log_debug(appliance->log, "the appliance's kernel stays packed: %s", err_message(err));
	else if (guestfs_set_path(appliance->g, dir))
		log_debug(appliance->log, "%s: %s", dir, guestfs_last_error(appliance->g));
}

static struct err *timed_out_error(uint64_t limit_ns)
{
	return err_advise(err_failed("libguestfs's appliance did not start within %llu s",
				     (unsigned long long)(limit_ns / 1000000000)),
			  "try 'libguestfs-test-tool'; $LIBGUESTFS_HV names the hypervisor, "
			  "$P2V_APPLIANCE_TIMEOUT the seconds allowed");
}

static struct err *launch_error(struct appliance *appliance)
{
	const char *last = appliance->console.last;
	const char *text = guestfs_last_error(appliance->g);

	if (!text)
		text = "no reason given";
	/* libguestfs's further lines say how to report a bug. */
	return err_advise(err_failed("libguestfs's appliance does not start: %.*s%s%s",
				     (int)strcspn(text, "\n"), text, last[0] ? "; its last words: " : "",
				     last),
			  "try 'libguestfs-test-tool'; $LIBGUESTFS_HV names the hypervisor, "
			  "-vv shows all that libguestfs says");
}

static struct err *try_launch(struct appliance *appliance, const struct appliance_options *options,
			      const struct attempt *attempt, bool *ret_timed_out)
{
	uint64_t limit_ns = time_limit_ns(options);
	uint64_t start_ns = run_now_ns();
	struct launch_watch *watch;
	int status;

	TRY(create_handle(appliance, attempt));
	if (attempt->unpacked_kernel)
		use_unpacked_kernel(appliance, attempt);
	TRY(add_disks(appliance, options));
	TRY(guardian_start(&appliance->guardian));
	TRY(launch_watch_start(limit_ns, appliance->guardian, &watch));
	status = guestfs_launch(appliance->g);
	*ret_timed_out = launch_watch_stop(watch);
	if (status && *ret_timed_out)
		return timed_out_error(limit_ns);
	if (status)
		return launch_error(appliance);
	appliance->accelerator = attempt->accelerator;
	log_info(appliance->log, "libguestfs started in %.1f s (%s)", (double)(run_now_ns() - start_ns) / 1e9,
		 attempt->accelerator);
	return NULL;
}

/* Undoes try_launch(), for another attempt. */
static void forget_launch(struct appliance *appliance)
{
	if (appliance->g)
		guestfs_close(appliance->g);
	appliance->g = NULL;
	guardian_dismiss(appliance->guardian);
	appliance->guardian = NULL;
}

static bool emulation_is_forced(void)
{
	const char *settings = getenv("LIBGUESTFS_BACKEND_SETTINGS");

	return settings && strstr(settings, "force_tcg");
}

/* Where libguestfs's appliance is; NULL also if it could not be built, which guestfs_launch() then explains.
 */
static char *build_appliance(const struct appliance *appliance)
{
	CLEANUP_ERR struct err *err = NULL;
	guestfs_h *g = guestfs_create();
	char *dir = NULL;

	if (!g)
		return NULL;
	err = appliance_build(g, appliance->log, &dir);
	if (err)
		log_debug(appliance->log, "appliance: %s", err_message(err));
	guestfs_close(g);
	return dir;
}

/* libguestfs would find out only by failing to start. */
static struct err *check_hypervisor(void)
{
	guestfs_h *g = guestfs_create();
	CLEANUP_FREE char *path = g ? guestfs_get_hv(g) : NULL;

	if (g)
		guestfs_close(g);
	if (!path || path[0] != '/' || !access(path, X_OK))
		return NULL;
	return err_advise(err_as(err_from_errno(errno, "the hypervisor %s cannot be run", path), ERR_REFUSED),
			  "on Debian: apt-get install qemu-system-x86; $LIBGUESTFS_HV names another one");
}

/* One attempt after the other. */
static struct err *launch_in_turn(struct appliance *appliance, const struct appliance_options *options)
{
	CLEANUP_FREE char *built_dir = build_appliance(appliance);
	bool kvm = !emulation_is_forced() && kvm_works(appliance->scratch_dir, appliance->log);
	const struct attempt attempts[] = {
		{"kvm", built_dir, false},
		{"tcg", built_dir, true},
		{"tcg", built_dir, false},
	};
	struct err *err = NULL;
	unsigned time_outs = 0;

	for (size_t i = kvm ? 0 : 1; i < sizeof attempts / sizeof *attempts; i++) {
		bool timed_out = false;

		if (attempts[i].unpacked_kernel && !built_dir)
			continue;
		/* What hangs emulated hangs with any kernel. */
		if (time_outs && i == 2)
			break;
		if (err)
			log_warning(appliance->log, "%s; trying again, %s", err_message(err),
				    i == 1 ? "emulated" : "with the packed kernel");
		err_free(err);
		err = try_launch(appliance, options, &attempts[i], &timed_out);
		if (!err)
			return NULL;
		time_outs += timed_out && i > 0;
		forget_launch(appliance);
	}
	return err;
}

struct err *appliance_launch(struct appliance *appliance, const struct appliance_options *options)
{
	TRY(check_hypervisor());
	return launch_in_turn(appliance, options);
}
