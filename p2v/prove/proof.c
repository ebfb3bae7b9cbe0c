/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A proof in words, in JSON, and as a verdict. */
#include <stdlib.h>

#include "p2v/base/mem.h"
#include "p2v/prove/prove.h"

#define NS_PER_S 1000000000ull

/* Lines of the console that go into an error. */
#define VERDICT_LINES 4

static struct err *failure_error(const struct proof *proof)
{
	CLEANUP_TEXT struct text text = {0};
	size_t first =
		proof->console_tail.count > VERDICT_LINES ? proof->console_tail.count - VERDICT_LINES : 0;

	text_addf(&text, "the machine does not come up on %s hardware: %s", proof->hardware, proof->failure);
	for (size_t i = first; i < proof->console_tail.count; i++)
		text_addf(&text, "%s%s", i == first ? "; the console ends with: " : " | ",
			  proof->console_tail.items[i]);
	return err_advise(err_failed("%s", text.data), "%s",
			  proof->advice ? proof->advice : "look at its screenshot and console log");
}

struct err *proof_verdict(const struct proof *proof)
{
	CLEANUP_TEXT struct text text = {0};
	size_t failed = 0;

	if (proof->ok)
		return NULL;
	if (proof->failure)
		return failure_error(proof);
	for (size_t i = 0; i < proof->check_count; i++)
		if (!proof->checks[i].ok)
			text_addf(&text, "%s%s: %s", failed++ ? "; " : "", proof->checks[i].name,
				  proof->checks[i].detail);
	return err_advise(err_failed("the machine comes up on %s hardware, but not as it was: %s",
				     proof->hardware, text.data ? text.data : "no check was made"),
			  "the report lists every check; p2v prove shows it again");
}

void proof_format(const struct proof *proof, struct text *ret_text)
{
	text_addf(ret_text, "%s on %s hardware (%s, %s), %llu s\n",
		  proof->ok ? "boots" : "DOES NOT BOOT AS IT SHOULD", proof->hardware,
		  firmware_name(proof->firmware), proof->accelerator,
		  (unsigned long long)(proof->duration_ns / NS_PER_S));
	if (proof->failure)
		text_addf(ret_text, "  FAILED  %s\n", proof->failure);
	if (proof->advice)
		text_addf(ret_text, "          %s\n", proof->advice);
	for (size_t i = 0; i < proof->check_count; i++)
		text_addf(ret_text, "  %s  %s: %s\n", proof->checks[i].ok ? "ok    " : "FAILED",
			  proof->checks[i].name, proof->checks[i].detail);
	for (size_t i = 0; proof->failure && i < proof->console_tail.count; i++)
		text_addf(ret_text, "  | %s\n", proof->console_tail.items[i]);
	if (proof->screenshot)
		text_addf(ret_text, "  screenshot: %s\n", proof->screenshot);
	for (size_t i = 0; i < proof->stand_ins.count; i++)
		text_addf(ret_text, "  stand-in: %s\n", proof->stand_ins.items[i]);
	for (size_t i = 0; i < proof->not_proven.count; i++)
		text_addf(ret_text, "  not proven: %s\n", proof->not_proven.items[i]);
}

static json_t *list_to_json(const struct strv *list)
{
	json_t *array = json_array();

	for (size_t i = 0; i < list->count; i++)
		json_array_append_new(array, json_string(list->items[i]));
	return array;
}

static json_t *nic_to_json(const struct report_nic *nic)
{
	json_t *json = json_object();

	json_set_string(json, "name", nic->name);
	json_set_string(json, "mac", nic->mac);
	json_set_string(json, "state", nic->state);
	json_object_set_new(json, "drivers", list_to_json(&nic->drivers));
	json_object_set_new(json, "addresses", list_to_json(&nic->addresses));
	return json;
}

static json_t *root_to_json(const struct report *report)
{
	const struct report_mount *root = report_find_mount(report, "/");
	CLEANUP_STRV struct strv drivers = {0};
	CLEANUP_TEXT struct text chain = {0};
	json_t *json;

	if (!root)
		return json_null();
	json = json_object();
	json_set_string(json, "source", root->source);
	json_set_string(json, "type", root->type);
	json_set_string(json, "uuid", root->uuid);
	if (root->device) {
		report_format_chain(report, root->device, &chain);
		report_chain_drivers(report, root->device, &drivers);
	}
	json_set_string(json, "chain", chain.data);
	json_object_set_new(json, "drivers", list_to_json(&drivers));
	return json;
}

static json_t *units_to_json(const struct report *report)
{
	json_t *array = json_array();

	for (size_t i = 0; i < report->failed_unit_count; i++) {
		const struct report_unit *unit = &report->failed_units[i];
		json_t *json = json_object();

		json_set_string(json, "name", unit->name);
		json_set_string(json, "result", unit->result);
		json_object_set_new(json, "log", list_to_json(&unit->log));
		json_array_append_new(array, json);
	}
	return array;
}

static json_t *system_to_json(const struct report *report)
{
	json_t *json = json_object(), *nics = json_array();

	json_set_string(json, "kernel", report->system.kernel);
	json_set_string(json, "hostname", report->system.host);
	json_set_string(json, "state", report->system.state);
	json_set_u64(json, "boot_seconds", report->system.boot_s);
	json_set_string(json, "command_line", report->system.command_line);
	json_set_bool(json, "login_prompt", report->system.has_prompt);
	json_object_set_new(json, "root", root_to_json(report));
	for (size_t i = 0; i < report->nic_count; i++)
		json_array_append_new(nics, nic_to_json(&report->nics[i]));
	json_object_set_new(json, "nics", nics);
	json_object_set_new(json, "failed_units", units_to_json(report));
	json_object_set_new(json, "jobs", list_to_json(&report->jobs));
	json_object_set_new(json, "missing_mounts", list_to_json(&report->missing_mounts));
	return json;
}

static json_t *check_to_json(const struct proof_check *check)
{
	json_t *json = json_object();

	json_set_string(json, "name", check->name);
	json_set_bool(json, "ok", check->ok);
	json_set_string(json, "detail", check->detail);
	return json;
}

json_t *proof_to_json(const struct proof *proof)
{
	json_t *json = json_object(), *checks = json_array();

	json_set_bool(json, "ok", proof->ok);
	json_set_string(json, "hardware", proof->hardware);
	json_set_string(json, "firmware", firmware_name(proof->firmware));
	json_set_string(json, "accelerator", proof->accelerator);
	json_object_set_new(json, "seconds", json_real((double)proof->duration_ns / NS_PER_S));
	json_set_string(json, "failure", proof->failure);
	json_set_string(json, "advice", proof->advice);
	for (size_t i = 0; i < proof->check_count; i++)
		json_array_append_new(checks, check_to_json(&proof->checks[i]));
	json_object_set_new(json, "checks", checks);
	json_object_set_new(json, "system", proof->failure ? json_null() : system_to_json(&proof->report));
	json_object_set_new(json, "stand_ins", list_to_json(&proof->stand_ins));
	json_object_set_new(json, "not_proven", list_to_json(&proof->not_proven));
	json_object_set_new(json, "console_tail", list_to_json(&proof->console_tail));
	json_set_string(json, "screenshot", proof->screenshot);
	return json;
}

void proof_deinit(struct proof *proof)
{
	for (size_t i = 0; i < proof->check_count; i++) {
		free(proof->checks[i].name);
		free(proof->checks[i].detail);
	}
	free(proof->checks);
	free(proof->accelerator);
	free(proof->failure);
	free(proof->advice);
	free(proof->screenshot);
	strv_deinit(&proof->console_tail);
	strv_deinit(&proof->stand_ins);
	strv_deinit(&proof->not_proven);
	report_deinit(&proof->report);
	*proof = (struct proof){0};
}
