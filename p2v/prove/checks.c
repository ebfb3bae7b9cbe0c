/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The verdict: one function a check, each adding one or more lines.  A check
 * says what was found also when it passes, for the report is read by people.
 */
#include "p2v/prove/checks.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "p2v/base/mem.h"

struct context {
	const struct machine *machine;
	const struct vm *vm;
	const struct hardware *hardware;
	const struct strv *ignored_units;
	struct proof *proof;
};

static void add_check(struct proof *proof, bool ok, const char *name, struct text *detail)
{
	proof->checks = xreallocarray(proof->checks, proof->check_count + 1, sizeof *proof->checks);
	proof->checks[proof->check_count++] = (struct proof_check){
		.name = xstrdup(name),
		.ok = ok,
		.detail = text_take(detail),
	};
}

static const char *or_unknown(const char *s)
{
	return s ? s : "unknown";
}

static void add_list(struct text *text, const struct strv *list, const char *separator)
{
	for (size_t i = 0; i < list->count; i++)
		text_addf(text, "%s%s", i ? separator : "", list->items[i]);
}

/* systemd has no more to do, and is not in emergency or rescue mode.  Failed units have their own check. */
static void check_boot(const struct context *context)
{
	const struct report *report = &context->proof->report;
	const char *state = or_unknown(report->system.state);
	bool ok = !strcmp(state, "running") || !strcmp(state, "degraded");
	CLEANUP_TEXT struct text detail = {0};

	text_addf(&detail, "kernel %s, systemd is %s after %llu s", or_unknown(report->system.kernel), state,
		  (unsigned long long)report->system.boot_s);
	if (report->system.has_prompt)
		text_addf(&detail, ", the screen shows a login prompt");
	if (report->jobs.count) {
		text_addf(&detail, "; it waits for ");
		add_list(&detail, &report->jobs, ", ");
	}
	add_check(context->proof, ok, "boot", &detail);
}

static void check_root(const struct context *context)
{
	const struct report *report = &context->proof->report;
	const struct report_mount *root = report_find_mount(report, "/");
	CLEANUP_STRV struct strv drivers = {0};
	CLEANUP_TEXT struct text detail = {0};
	bool ok = false;

	if (!root) {
		text_addf(&detail, "the report names no root file system");
	} else {
		text_addf(&detail, "%s on %s", root->type, root->source);
		if (root->uuid)
			text_addf(&detail, ", UUID %s", root->uuid);
		if (root->device) {
			text_addf(&detail, ", ");
			report_format_chain(report, root->device, &detail);
			report_chain_drivers(report, root->device, &drivers);
		}
		text_addf(&detail, drivers.count ? ", driver " : ", no driver is named");
		add_list(&detail, &drivers, ", ");
	}
	for (size_t i = 0; i < context->hardware->disk_count; i++)
		ok |= strv_has(&drivers, hardware_disk_driver(context->hardware->disks[i]));
	if (root && !ok)
		text_addf(&detail, "; expected %s", hardware_disk_driver(context->hardware->disks[0]));
	add_check(context->proof, ok, "root", &detail);
}

/* Whole disks of that size with that driver, as the system sees them. */
static size_t count_seen(const struct report *report, uint64_t size_bytes, const char *driver)
{
	size_t count = 0;

	for (size_t i = 0; i < report->block_count; i++) {
		const struct report_block *block = &report->blocks[i];

		count += !block->parent && !block->slaves.count && block->size_bytes == size_bytes &&
			 strv_has(&block->drivers, driver);
	}
	return count;
}

static void check_disks(const struct context *context)
{
	const struct vm *vm = context->vm;
	CLEANUP_TEXT struct text detail = {0};
	size_t found = 0;

	for (size_t i = 0; i < vm->disk_count; i++) {
		const char *driver = hardware_disk_driver(context->hardware->disks[i]);
		size_t wanted = 0;

		/* Disks of one size are told apart by their number only. */
		for (size_t k = 0; k <= i; k++)
			wanted += vm->disks[k].size_bytes == vm->disks[i].size_bytes &&
				  context->hardware->disks[k] == context->hardware->disks[i];
		if (count_seen(&context->proof->report, vm->disks[i].size_bytes, driver) >= wanted)
			found++;
		else
			text_addf(&detail, "%s (%llu bytes, driver %s) does not show; ", vm->disks[i].file,
				  (unsigned long long)vm->disks[i].size_bytes, driver);
	}
	text_addf(&detail, "%zu of %zu with their sizes", found, vm->disk_count);
	add_check(context->proof, found == vm->disk_count, "disks", &detail);
}

static void check_mounts(const struct context *context)
{
	const struct report *report = &context->proof->report;
	CLEANUP_TEXT struct text detail = {0};

	if (report->missing_mounts.count) {
		text_addf(&detail, "in fstab, but not there: ");
		add_list(&detail, &report->missing_mounts, ", ");
	} else {
		text_addf(&detail, "all that fstab asks for");
	}
	add_check(context->proof, !report->missing_mounts.count, "mounts", &detail);
}

/* "192.0.2.7/24" into bytes and prefix length; -1 for none; false if it is no address. */
static bool parse_address(const char *text, int *ret_family, unsigned char ret_bytes[16], long *ret_prefix)
{
	CLEANUP_FREE char *copy = xstrdup(text);
	char *slash = strchr(copy, '/'), *end;

	*ret_prefix = -1;
	if (slash) {
		*slash++ = '\0';
		*ret_prefix = strtol(slash, &end, 10);
		if (!*slash || *end)
			return false;
	}
	memset(ret_bytes, 0, 16);
	*ret_family = strchr(copy, ':') ? AF_INET6 : AF_INET;
	return inet_pton(*ret_family, copy, ret_bytes) == 1;
}

bool checks_same_address(const char *a, const char *b)
{
	unsigned char bytes_a[16], bytes_b[16];
	int family_a, family_b;
	long prefix_a, prefix_b;

	return parse_address(a, &family_a, bytes_a, &prefix_a) &&
	       parse_address(b, &family_b, bytes_b, &prefix_b) && family_a == family_b &&
	       !memcmp(bytes_a, bytes_b, sizeof bytes_a) &&
	       (prefix_a == prefix_b || prefix_a < 0 || prefix_b < 0);
}

static const struct report_nic *find_nic(const struct report *report, const char *mac, const char *name)
{
	for (size_t i = 0; i < report->nic_count; i++) {
		const struct report_nic *nic = &report->nics[i];

		if (nic->drivers.count && (mac ? !strcmp(nic->mac, mac) : name && !strcmp(nic->name, name)))
			return nic;
	}
	return NULL;
}

/* The interface that has the address, NULL if none. */
static const struct report_nic *find_address(const struct report *report, const char *address)
{
	for (size_t i = 0; i < report->nic_count; i++)
		for (size_t k = 0; k < report->nics[i].addresses.count; k++)
			if (checks_same_address(report->nics[i].addresses.items[k], address))
				return &report->nics[i];
	return NULL;
}

/* An address may have moved up to a bridge, bond or VLAN on the card; that is told, and no fault. */
static bool check_addresses(const struct report *report, const struct machine_nic *wanted,
			    const struct report_nic *nic, struct text *detail)
{
	bool ok = true;

	for (size_t i = 0; i < wanted->addresses.count; i++) {
		const char *address = wanted->addresses.items[i];
		const struct report_nic *holder = find_address(report, address);

		if (!holder)
			text_addf(detail, ", address %s is missing", address);
		else if (holder == nic)
			text_addf(detail, ", address %s", address);
		else
			text_addf(detail, ", address %s on %s", address, holder->name);
		if (!holder || (holder != nic && holder->drivers.count))
			ok = false;
	}
	return ok;
}

static void check_nic(const struct context *context, size_t index)
{
	const struct report *report = &context->proof->report;
	const struct machine_nic *wanted = &context->machine->nics[index];
	const char *driver = hardware_nic_driver(context->hardware->nic);
	CLEANUP_FREE char *mac = wanted->mac ? vm_normalise_mac(wanted->mac) : NULL;
	CLEANUP_FREE char *name =
		wanted->name ? xasprintf("nic %s", wanted->name) : xasprintf("nic %zu", index);
	const struct report_nic *nic = find_nic(report, mac, wanted->name);
	CLEANUP_TEXT struct text detail = {0};
	bool ok = true;

	if (!nic) {
		text_addf(&detail, "no network card %s shows: no driver, or not this address",
			  mac ? mac : or_unknown(wanted->name));
		add_check(context->proof, false, name, &detail);
		return;
	}
	text_addf(&detail, "%s, MAC address %s, driver ", nic->name, nic->mac);
	add_list(&detail, &nic->drivers, ", ");
	if (wanted->name && strcmp(nic->name, wanted->name)) {
		text_addf(&detail, ", but its name was %s", wanted->name);
		ok = false;
	}
	if (!strv_has(&nic->drivers, driver)) {
		text_addf(&detail, ", expected %s", driver);
		ok = false;
	}
	ok &= check_addresses(report, wanted, nic, &detail);
	add_check(context->proof, ok, name, &detail);
}

/* The last line that the unit wrote itself; what systemd says about it every time tells nothing. */
static const char *telling_line(const struct report_unit *unit)
{
	static const char *const systemd_says[] = {"Failed to start ", "Starting ", "Started ", "Stopped ",
						   "Stopping "};

	for (size_t i = unit->log.count; i--;) {
		const char *line = unit->log.items[i];
		bool is_own = !str_starts_with(line, unit->name);

		for (size_t k = 0; k < sizeof systemd_says / sizeof *systemd_says; k++)
			is_own &= !str_starts_with(line, systemd_says[k]);
		if (is_own)
			return line;
	}
	return unit->result;
}

static void check_units(const struct context *context)
{
	const struct report *report = &context->proof->report;
	CLEANUP_TEXT struct text detail = {0};
	size_t new_count = 0, old_count = 0;

	for (size_t i = 0; i < report->failed_unit_count; i++) {
		const struct report_unit *unit = &report->failed_units[i];
		bool is_ignored = context->ignored_units && strv_has(context->ignored_units, unit->name);

		new_count += !is_ignored;
		old_count += is_ignored;
		text_addf(&detail, "%s%s%s", i ? "; " : "", unit->name, is_ignored ? " (expected to)" : "");
		if (!is_ignored)
			text_addf(&detail, ": %s", telling_line(unit));
	}
	if (!report->failed_unit_count)
		text_addf(&detail, "none failed");
	else if (!new_count)
		text_addf(&detail, "; none besides those expected (%zu)", old_count);
	add_check(context->proof, !new_count, "units", &detail);
}

static void check_hostname(const struct context *context)
{
	const char *wanted = context->machine->os.hostname;
	const char *host = context->proof->report.system.host;
	CLEANUP_TEXT struct text detail = {0};
	/* One may have the domain with it. */
	size_t bytes = wanted ? strcspn(wanted, ".") : 0;

	if (!wanted)
		return;
	text_addf(&detail, "%s", or_unknown(host));
	if (host && strcspn(host, ".") == bytes && !strncmp(host, wanted, bytes)) {
		add_check(context->proof, true, "hostname", &detail);
		return;
	}
	text_addf(&detail, ", expected %s", wanted);
	add_check(context->proof, false, "hostname", &detail);
}

void checks_run(const struct machine *machine, const struct vm *vm, const struct hardware *hardware,
		const struct strv *ignored_units, struct proof *proof)
{
	const struct context context = {machine, vm, hardware, ignored_units, proof};

	check_boot(&context);
	check_root(&context);
	check_disks(&context);
	check_mounts(&context);
	for (size_t i = 0; i < machine->nic_count; i++)
		check_nic(&context, i);
	check_hostname(&context);
	check_units(&context);
}
