/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "p2v/cmd/received.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "p2v/base/mem.h"
#include "p2v/cmd/sync.h"
#include "vhdx/vhdx.h"

bool received_is_job(const char *folder)
{
	CLEANUP_FREE char *path = xasprintf("%s/" CHECKPOINT_FILE, folder);

	return !access(path, F_OK);
}

static char *disk_path(const char *folder, size_t number)
{
	return xasprintf("%s/" SYNC_DISK_FILE, folder, number);
}

static struct err *complete_copy(const char *folder, size_t number, const struct log *log)
{
	CLEANUP_FREE char *path = disk_path(folder, number);
	struct blk *blk;
	struct err *err;

	TRY(vhdx_open(path, VHDX_OPEN_WRITE | VHDX_OPEN_INCOMPLETE, log, &blk));
	err = vhdx_finish(blk);
	return err_first(err, blk_close(blk));
}

static struct err *check_complete(const char *folder, const struct checkpoint *job)
{
	if (job->complete)
		return NULL;
	if (job->held_since)
		return err_advise(
			err_refused(
				"%s: the job is held: all of it is here, but the sender has not said that "
				"its server has stopped for good",
				folder),
			"run the cutover again; or see that the server is switched off, and say --take-held: "
			"if it runs, there will be two of it");
	return err_advise(
		err_refused("%s: the job is not complete: its disks are still being received", folder),
		"let 'p2v send --name %s' run to its end; 'p2v status' tells when it is complete", job->name);
}

struct err *received_take_held(const char *folder, const struct log *log)
{
	CLEANUP_CHECKPOINT struct checkpoint job = {0};
	CLEANUP_FD int lock = -1;

	TRY(err_as(checkpoint_lock(folder, &lock), ERR_REFUSED));
	TRY(checkpoint_load(folder, &job));
	if (job.complete || !job.held_since)
		return check_complete(folder, &job);
	for (size_t i = 0; i < job.disk_count; i++)
		TRY(complete_copy(folder, i, log));
	job.complete = true;
	job.completed = time(NULL);
	job.held_since = 0;
	return checkpoint_save(&job, folder);
}

struct err *received_list_disks(const char *folder, struct strv *ret_files)
{
	CLEANUP_CHECKPOINT struct checkpoint job = {0};

	TRY(checkpoint_load(folder, &job));
	TRY(check_complete(folder, &job));
	for (size_t i = 0; i < job.disk_count; i++) {
		CLEANUP_FREE char *path = disk_path(folder, i);

		strv_add(ret_files, path);
	}
	return NULL;
}

struct err *received_read_machine(const char *folder, json_t **ret_json, struct machine *ret_machine)
{
	CLEANUP_FREE char *path = xasprintf("%s/" SYNC_MACHINE_FILE, folder);
	CLEANUP_JSON json_t *json = NULL;

	TRY(json_read_file(path, &json));
	TRY(err_wrap(machine_from_json(json, ret_machine), "%s", path));
	if (ret_json)
		*ret_json = take_ptr(json);
	return NULL;
}

static void copy_text(char **to, const char *from)
{
	if (!*to && from)
		*to = xstrdup(from);
}

static void complete_disk(struct machine_disk *disk, const struct machine_disk *told)
{
	copy_text(&disk->model, told->model);
	copy_text(&disk->serial, told->serial);
	copy_text(&disk->wwn, told->wwn);
	copy_text(&disk->transport, told->transport);
}

static void complete_hardware(struct machine *machine, const struct machine *told)
{
	copy_text(&machine->hardware.vendor, told->hardware.vendor);
	copy_text(&machine->hardware.model, told->hardware.model);
	copy_text(&machine->hardware.serial, told->hardware.serial);
	copy_text(&machine->hardware.hypervisor, told->hardware.hypervisor);
	copy_text(&machine->hardware.tpm, told->hardware.tpm);
	copy_text(&machine->cpu.model, told->cpu.model);
	machine->cpu.sockets = told->cpu.sockets;
	machine->cpu.cores = told->cpu.cores;
	machine->cpu.threads = told->cpu.threads;
	for (size_t i = 0; i < told->cpu.flags.count; i++)
		strv_add(&machine->cpu.flags, told->cpu.flags.items[i]);
}

static void complete_nics(struct machine *machine, const struct machine *told)
{
	for (size_t i = 0; i < machine->nic_count; i++) {
		struct machine_nic *nic = &machine->nics[i];

		for (size_t k = 0; k < told->nic_count && nic->name && !nic->mac; k++)
			if (told->nics[k].name && told->nics[k].mac && !strcmp(told->nics[k].name, nic->name))
				nic->mac = xstrdup(told->nics[k].mac);
	}
}

void received_complete_machine(struct machine *machine, const struct machine *told)
{
	if (!machine->memory_bytes)
		machine->memory_bytes = told->memory_bytes;
	if (!machine->processors)
		machine->processors = told->processors;
	if (machine->secure_boot < 0)
		machine->secure_boot = told->secure_boot;
	complete_hardware(machine, told);
	for (size_t i = 0; i < machine->disk_count && i < told->disk_count; i++)
		complete_disk(&machine->disks[i], &told->disks[i]);
	complete_nics(machine, told);
}
