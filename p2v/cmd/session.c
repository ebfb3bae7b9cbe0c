/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "p2v/cmd/session.h"

#include <stdlib.h>
#include <string.h>

#include "p2v/base/mem.h"

static struct err *create_file(const struct vhdx_create_options *options, const char *path,
			       const struct log *log)
{
	struct blk *blk = NULL;

	TRY(vhdx_create(path, options, log, &blk));
	return blk_close(blk);
}

/* The VHDX beside which the source is read; as large as the source, rounded up to whole sectors. */
static struct err *create_overlay(const struct source *source, const char *path, const struct log *log)
{
	uint64_t mask = source->sector_bytes - 1;
	const struct vhdx_create_options options = {
		.size_bytes = (source->blk->size_bytes + mask) & ~mask,
		.logical_sector_bytes = source->sector_bytes,
	};

	return create_file(&options, path, log);
}

static struct err *open_in_place(struct session_disk *disk, const char *socket_dir, const struct log *log)
{
	struct serve_options options = {.file = disk->source.path, .scratch_dir = socket_dir, .log = log};

	if (disk->source.foreign)
		return err_advise(err_refused("%s: is %s, which p2v does not change in place",
					      disk->source.path, image_format_name(disk->source.format)),
				  "leave --in-place out, and name a folder with --out");
	disk->file = xstrdup(disk->source.path);
	return serve_vhdx(&options, &disk->server);
}

static struct err *open_on_overlay(struct session_disk *disk, size_t index, const char *work_dir,
				   const char *socket_dir, const struct log *log)
{
	struct serve_options options = {
		.fill_from = disk->source.uri,
		.scratch_dir = socket_dir,
		.log = log,
	};

	disk->file = xasprintf("%s/disk%zu.vhdx", work_dir, index + 1);
	options.file = disk->file;
	TRY(create_overlay(&disk->source, disk->file, log));
	return serve_vhdx(&options, &disk->server);
}

static struct err *check_named_once(const struct session *session)
{
	for (size_t i = 0; i < session->disk_count; i++)
		for (size_t k = 0; k < i; k++)
			if (!strcmp(session->disks[i].source.path, session->disks[k].source.path))
				return err_advise(
					err_usage("%s: is named twice", session->disks[i].source.path),
					"name each disk of the machine once");
	return NULL;
}

static struct err *open_disks(struct session *session, const struct strv *sources, const char *work_dir,
			      unsigned flags)
{
	const char *socket_dir = scratch_path(session->run);

	session->disks = xcalloc(sources->count, sizeof *session->disks);
	for (size_t i = 0; i < sources->count; i++) {
		TRY(source_open(sources->items[i], socket_dir, session->log, &session->disks[i].source));
		session->disk_count++;
	}
	TRY(check_named_once(session));
	for (size_t i = 0; i < sources->count; i++) {
		struct session_disk *disk = &session->disks[i];

		TRY(flags & SESSION_IN_PLACE ? open_in_place(disk, socket_dir, session->log)
					     : open_on_overlay(disk, i, work_dir, socket_dir, session->log));
	}
	return NULL;
}

/* The name of a Unix socket has at most 107 bytes (unix(7)). */
#define MAX_RUN_PARENT_BYTES 60

static const char *run_parent(void)
{
	const char *temporary = getenv("TMPDIR");

	return temporary && strlen(temporary) <= MAX_RUN_PARENT_BYTES ? temporary : "/tmp";
}

struct err *session_open(const struct strv *sources, const char *work_dir, unsigned flags,
			 const struct log *log, struct session *ret_session)
{
	struct session session = {.log = log};
	struct err *err = scratch_create(run_parent(), "p2v", &session.run);

	if (!err)
		err = open_disks(&session, sources, work_dir, flags);
	if (err)
		session_close(&session);
	else
		*ret_session = session;
	return err;
}

static struct err *open_empty(const struct vhdx_create_options *options, const char *work_dir,
			      struct session *session)
{
	struct session_disk *disk = &session->disks[session->disk_count++];
	struct serve_options serve = {
		.incomplete = true,
		.scratch_dir = scratch_path(session->run),
		.log = session->log,
	};

	disk->source.sector_bytes = options->logical_sector_bytes;
	disk->file = xasprintf("%s/disk%zu.vhdx", work_dir, session->disk_count);
	serve.file = disk->file;
	TRY(create_file(options, disk->file, session->log));
	return serve_vhdx(&serve, &disk->server);
}

struct err *session_open_empty(const struct vhdx_create_options *disks, size_t count, const char *work_dir,
			       const struct log *log, struct session *ret_session)
{
	struct session session = {.log = log};
	struct err *err = scratch_create(run_parent(), "p2v", &session.run);

	session.disks = xcalloc(count, sizeof *session.disks);
	for (size_t i = 0; i < count && !err; i++)
		err = open_empty(&disks[i], work_dir, &session);
	if (err)
		session_close(&session);
	else
		*ret_session = session;
	return err;
}

struct err *session_set_sources(struct session *session, const struct strv *sources)
{
	for (size_t i = 0; i < session->disk_count; i++)
		TRY(source_open(sources->items[i], scratch_path(session->run), session->log,
				&session->disks[i].source));
	return session->appliance ? appliance_look_again(session->appliance) : NULL;
}

static void describe_sources(struct session *session)
{
	for (size_t i = 0; i < session->disk_count && i < session->machine.disk_count; i++) {
		struct machine_disk *disk = &session->machine.disks[i];

		free(disk->source);
		disk->source = xstrdup(session->disks[i].source.path);
	}
}

/* The interfaces that stand for hardware become the machine's NICs. */
static void describe_system(struct session *session)
{
	const struct inspection *inspection = &session->inspection;
	struct machine *machine = &session->machine;

	machine->firmware = inspection->boot.firmware;
	machine->secure_boot = -1;
	machine->os = (struct machine_os){
		xstrdup(inspection->os.id),   xstrdup(inspection->os.version),	xstrdup(inspection->os.name),
		xstrdup(inspection->os.arch), xstrdup(inspection->os.hostname),
	};
	for (size_t i = 0; i < inspection->interface_count; i++) {
		const struct guest_interface *interface = &inspection->interfaces[i];
		struct machine_nic *nic;

		if (!interface->is_physical)
			continue;
		nic = machine_add_nic(machine);
		nic->name = xstrdup(interface->name);
		nic->mac = xstrdup(interface->mac);
		for (size_t k = 0; k < interface->addresses.count; k++)
			strv_add(&nic->addresses, interface->addresses.items[k]);
	}
}

struct err *session_start_appliance(struct session *session)
{
	CLEANUP_FREE const char **sockets = xcalloc(session->disk_count + 1, sizeof *sockets);
	CLEANUP_FREE uint32_t *sector_bytes = xcalloc(session->disk_count, sizeof *sector_bytes);
	struct appliance_options options = {
		.nbd_sockets = sockets,
		.sector_bytes = sector_bytes,
		.scratch_dir = scratch_path(session->run),
		.log = session->log,
	};

	for (size_t i = 0; i < session->disk_count; i++) {
		sockets[i] = server_socket(session->disks[i].server);
		sector_bytes[i] = session->disks[i].source.sector_bytes;
	}
	return appliance_start(&options, &session->appliance);
}

struct err *session_inspect(struct session *session)
{
	if (!session->appliance)
		TRY(session_start_appliance(session));
	TRY(appliance_describe_disks(session->appliance, &session->machine));
	describe_sources(session);
	TRY(appliance_open_guest(session->appliance, &session->guest, &session->inspection));
	describe_system(session);
	session->boot_disk = appliance_boot_disk(session->appliance);
	return NULL;
}

struct err *session_release_guest(struct session *session)
{
	session->guest = NULL;
	return appliance_stop(take_ptr(session->appliance));
}

struct err *session_stop_serving(struct session *session)
{
	struct err *err = NULL;

	for (size_t i = 0; i < session->disk_count; i++)
		err = err_first(err, server_stop(take_ptr(session->disks[i].server)));
	return err;
}

void session_close(struct session *session)
{
	err_free(session_release_guest(session));
	err_free(session_stop_serving(session));
	for (size_t i = 0; i < session->disk_count; i++) {
		source_close(&session->disks[i].source);
		free(session->disks[i].file);
	}
	free(session->disks);
	inspection_deinit(&session->inspection);
	machine_deinit(&session->machine);
	scratch_destroy(session->run);
	*session = (struct session){0};
}
