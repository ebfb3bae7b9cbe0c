/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * p2v convert: inspect, plan, copy and apply at once, finish, describe.
 *
 * Nothing is copied before the plan stands; nothing has its final name before
 * everything is whole; what fails leaves nothing behind (the working folder is
 * scratch until it is renamed).
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "boot-fix/fix.h"
#include "p2v/base/crc32c.h"
#include "p2v/base/mem.h"
#include "p2v/base/run.h"
#include "p2v/cmd/cmd.h"
#include "p2v/cmd/convert.h"
#include "p2v/guest/fill.h"
#include "p2v/handover/vm.h"
#include "vhdx/vhdx.h"

static double seconds_since(uint64_t start_ns)
{
	return (run_now_ns() - start_ns) / 1e9;
}

static char *result_path(const struct convert_options *options)
{
	return xasprintf("%s/%s", options->out, options->name);
}

/* OUT must be a folder that we can write to, and OUT/NAME must not exist. */
static struct err *prepare_output(struct conversion *c)
{
	CLEANUP_FREE char *result = NULL, *prefix = NULL;

	if (c->options->dry_run || c->options->in_place)
		return scratch_create(cmd_temporary_dir(), "p2v-convert", &c->temporary);
	result = result_path(c->options);
	if (mkdir(c->options->out, 0755) && errno != EEXIST)
		return err_advise(err_as(err_from_errno(errno, "%s", c->options->out), ERR_REFUSED),
				  "name a folder that can be made and written with --out");
	if (!access(result, F_OK))
		return err_advise(err_refused("%s: exists already", result),
				  "choose another --name, or remove it");
	prefix = xasprintf(".%s.p2v", c->options->name);
	TRY(err_as(scratch_create(c->options->out, prefix, &c->work), ERR_REFUSED));
	return err_as(scratch_create(c->options->out, ".p2v-tmp", &c->temporary), ERR_REFUSED);
}

/* A MAC address that is the same in every run on the same system: locally administered, QEMU's prefix. */
static char *make_up_mac(const struct inspection *inspection, const char *nic_name)
{
	const char *uuid = inspection->volume_count ? inspection->volumes[0].uuid : NULL;
	CLEANUP_FREE char *seed = xasprintf("%s %s", uuid ? uuid : "", nic_name);
	uint32_t hash = crc32c(0, seed, strlen(seed));

	return xasprintf("52:54:00:%02x:%02x:%02x", hash >> 16 & 0xff, hash >> 8 & 0xff, hash & 0xff);
}

static struct err *take_mac_option(struct machine *machine, const char *option)
{
	const char *equals = strchr(option, '=');
	char *mac = equals ? vm_normalise_mac(equals + 1) : NULL;

	if (!mac)
		return err_advise(err_usage("--mac: '%s' is no NAME=MAC", option),
				  "say for example --mac enp0s2=00:25:90:12:34:56");
	for (size_t i = 0; i < machine->nic_count; i++) {
		struct machine_nic *nic = &machine->nics[i];

		if (nic->name && !strncmp(nic->name, option, equals - option) &&
		    !nic->name[equals - option]) {
			free(nic->mac);
			nic->mac = mac;
			return NULL;
		}
	}
	free(mac);
	return err_advise(
		err_refused("--mac: the system configures no interface %.*s", (int)(equals - option), option),
		"'p2v scan' lists its interfaces");
}

/* What the target will define: the source's own values, then the user's, then ours. */
static struct err *complete_machine(struct conversion *c)
{
	struct machine *machine = &c->session.machine;

	machine->name = xstrdup(c->options->name);
	machine->memory_bytes = c->options->memory_bytes;
	machine->processors = c->options->processors;
	if (c->options->firmware && c->options->firmware != machine->firmware)
		return err_advise(err_refused("%s boots by %s; p2v does not change that to %s yet",
					      c->options->name, firmware_name(machine->firmware),
					      firmware_name(c->options->firmware)),
				  "use --firmware keep");
	for (size_t i = 0; i < c->options->macs.count; i++)
		TRY(take_mac_option(machine, c->options->macs.items[i]));
	for (size_t i = 0; i < machine->nic_count; i++) {
		if (machine->nics[i].mac)
			continue;
		machine->nics[i].mac = make_up_mac(&c->session.inspection, machine->nics[i].name);
		machine->nics[i].mac_is_made_up = 1;
	}
	return NULL;
}

static struct err *find_signed_loader(struct conversion *c)
{
	const char *esp = c->session.inspection.boot.esp_mount_point;
	CLEANUP_STRV struct strv vendors = {0};
	CLEANUP_FREE char *folder = NULL;

	if (!esp)
		return NULL;
	folder = xasprintf("%s/EFI", esp);
	TRY(guest_list(c->session.guest, folder, &vendors));
	for (size_t i = 0; i < vendors.count; i++) {
		CLEANUP_FREE char *shim = xasprintf("%s/%s/shimx64.efi", folder, vendors.items[i]);
		struct guest_stat stat;

		TRY(guest_stat(c->session.guest, shim, &stat));
		if (stat.kind == GUEST_FILE)
			c->has_signed_loader = true;
	}
	return NULL;
}

static struct err *make_plan(struct conversion *c)
{
	struct inject_context inject = {
		.guest = c->session.guest,
		.inspection = &c->session.inspection,
		.targets = c->options->targets,
		.scratch_dir = scratch_path(c->temporary),
		.log = c->log,
	};
	struct fix_context fix = {
		.inspection = &c->session.inspection,
		.machine = &c->session.machine,
		.targets = c->options->targets,
		.log = c->log,
	};

	TRY(complete_machine(c));
	TRY(find_signed_loader(c));
	c->plan = plan_create(c->session.guest);
	TRY(boot_fix_plan(&fix, c->plan));
	TRY(inject_plan(&inject, c->plan, &c->drivers));
	return plan_to_json(c->plan, &c->changes);
}

static struct err *find_data(struct conversion *c)
{
	for (size_t i = 0; i < c->session.disk_count; i++) {
		TRY(source_find_data(&c->session.disks[i].source));
		c->data_bytes += extents_total_bytes(&c->session.disks[i].source.data);
	}
	return NULL;
}

/* Starts to copy every disk, applies the plan meanwhile, and waits for the rest. */
static struct err *copy_and_apply(struct conversion *c, struct progress *progress)
{
	CLEANUP_FREE struct fill **fills = xcalloc(c->session.disk_count, sizeof *fills);
	struct err *err = NULL;

	for (size_t i = 0; i < c->session.disk_count && !err; i++)
		err = fill_start(server_uri(c->session.disks[i].server), &c->session.disks[i].source.data,
				 progress, &fills[i]);
	if (!err)
		err = plan_apply(c->plan, c->log);
	if (!err)
		err = session_release_guest(&c->session);
	for (size_t i = 0; i < c->session.disk_count; i++) {
		if (err)
			fill_abandon(fills[i]);
		else
			err = fill_finish(fills[i]);
	}
	return err;
}

static struct err *copy_with_progress(struct conversion *c)
{
	enum progress_style style = c->options->json ? PROGRESS_JSON : PROGRESS_AUTO;
	struct progress *progress = progress_create(stderr, style, "copy", c->data_bytes);
	struct err *err = copy_and_apply(c, progress);

	progress_destroy(progress);
	return err;
}

static struct err *finish_images(struct conversion *c)
{
	TRY(session_stop_serving(&c->session));
	for (size_t i = 0; i < c->session.disk_count; i++) {
		struct blk *blk = NULL;
		struct err *err;

		TRY(vhdx_open(c->session.disks[i].file, VHDX_OPEN_WRITE | VHDX_OPEN_INCOMPLETE, c->log,
			      &blk));
		err = vhdx_finish(blk);
		TRY(err_first(err, blk_close(blk)));
	}
	return NULL;
}

static struct err *change_in_place(struct conversion *c)
{
	TRY(plan_apply(c->plan, c->log));
	TRY(session_release_guest(&c->session));
	return session_stop_serving(&c->session);
}

static struct err *make_result(struct conversion *c)
{
	uint64_t start_ns = run_now_ns();

	if (c->options->in_place)
		return change_in_place(c);
	TRY(find_data(c));
	TRY(convert_check_space(c, c->options->out));
	TRY(copy_with_progress(c));
	c->times.copy_and_apply = seconds_since(start_ns);
	start_ns = run_now_ns();
	TRY(finish_images(c));
	c->times.finish = seconds_since(start_ns);
	return convert_write_output(c);
}

static struct err *convert(struct conversion *c)
{
	CLEANUP_FREE char *result = NULL;
	uint64_t start_ns = c->times.started_ns = run_now_ns();

	TRY(prepare_output(c));
	TRY(session_open(&c->options->sources, scratch_path(c->work ? c->work : c->temporary),
			 c->options->in_place && !c->options->dry_run ? SESSION_IN_PLACE : 0, c->log,
			 &c->session));
	TRY(session_inspect(&c->session));
	c->times.inspect = seconds_since(start_ns);
	start_ns = run_now_ns();
	TRY(make_plan(c));
	c->times.plan = seconds_since(start_ns);
	if (c->options->dry_run)
		return convert_print(c, NULL);
	TRY(make_result(c));
	if (c->options->out)
		result = result_path(c->options);
	return convert_print(c, result);
}

static void conversion_deinit(struct conversion *c)
{
	/* The plan reads through the guest, the guest ends with the session. */
	plan_destroy(c->plan);
	session_close(&c->session);
	inject_result_deinit(&c->drivers);
	json_decref(c->changes);
	strv_deinit(&c->descriptions);
	scratch_destroy(c->temporary);
	scratch_destroy(c->work);
}

struct err *cmd_convert(int argc, char **argv)
{
	struct convert_options options = {0};
	bool help = false;
	struct err *err = convert_options_parse(argc, argv, &options, &help);

	if (!err && !help) {
		struct log log = cmd_log(options.verbose);
		struct conversion conversion = {.options = &options, .log = &log};

		err = convert(&conversion);
		conversion_deinit(&conversion);
	}
	convert_options_deinit(&options);
	return err;
}
