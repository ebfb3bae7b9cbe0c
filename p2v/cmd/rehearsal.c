/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What came of a rehearsal: rehearsal.json in the job's folder. */
#include <stdlib.h>
#include <string.h>

#include "p2v/base/mem.h"
#include "p2v/cmd/rehearse.h"

#define REHEARSAL_FILE "rehearsal.json"
#define REHEARSAL_VERSION 1

static const char *const verdicts[] = {
	[REHEARSAL_NONE] = "none",
	[REHEARSAL_CONVERTS] = "would convert",
	[REHEARSAL_REFUSES] = "cannot be converted",
	[REHEARSAL_UNKNOWN] = "could not be told",
};

static const char *const proofs[] = {
	[PROOF_NOT_WANTED] = "not wanted",
	[PROOF_BOOTS] = "boots",
	[PROOF_FAILS] = "fails",
};

const char *rehearsal_words(const struct rehearsal *rehearsal)
{
	if (rehearsal->verdict == REHEARSAL_CONVERTS && rehearsal->proof == PROOF_BOOTS)
		return "would convert; boots";
	if (rehearsal->verdict == REHEARSAL_CONVERTS && rehearsal->proof == PROOF_FAILS)
		return "would convert, but does not come up as it should";
	return verdicts[rehearsal->verdict];
}

json_t *rehearsal_to_json(const struct rehearsal *rehearsal)
{
	json_t *json = json_object();

	json_set_u64(json, "p2v_rehearsal", REHEARSAL_VERSION);
	json_set_string(json, "verdict", verdicts[rehearsal->verdict]);
	json_set_string(json, "proof", proofs[rehearsal->proof]);
	json_set_u64(json, "when", rehearsal->when);
	json_set_u64(json, "passes", rehearsal->passes);
	json_set_bool(json, "settled", rehearsal->is_settled);
	json_set_string(json, "reason", rehearsal->reason);
	json_set_string(json, "advice", rehearsal->advice);
	return json;
}

struct err *rehearsal_save(const struct rehearsal *rehearsal, const char *folder)
{
	CLEANUP_FREE char *path = xasprintf("%s/" REHEARSAL_FILE, folder);
	CLEANUP_JSON json_t *json = rehearsal_to_json(rehearsal);

	return json_write_file(path, json);
}

static struct err *find_word(const json_t *json, const char *key, const char *const *words, size_t count,
			     unsigned *ret_index)
{
	const char *word;

	TRY(json_get_string(json, key, &word));
	for (*ret_index = 0; *ret_index < count; ++*ret_index)
		if (!strcmp(words[*ret_index], word))
			return NULL;
	return err_refused("%s: '%s' is not known", key, word);
}

static struct err *read_json(const json_t *json, struct rehearsal *rehearsal)
{
	unsigned verdict, proof;
	uint64_t when;

	TRY(find_word(json, "verdict", verdicts, sizeof verdicts / sizeof *verdicts, &verdict));
	TRY(find_word(json, "proof", proofs, sizeof proofs / sizeof *proofs, &proof));
	TRY(json_get_u64(json, "when", &when));
	TRY(json_get_u64(json, "passes", &rehearsal->passes));
	rehearsal->verdict = verdict;
	rehearsal->proof = proof;
	rehearsal->when = when;
	rehearsal->is_settled = json_is_true(json_object_get(json, "settled"));
	rehearsal->reason = xstrdup(json_string_or(json, "reason", NULL));
	rehearsal->advice = xstrdup(json_string_or(json, "advice", NULL));
	return NULL;
}

struct err *rehearsal_load(const char *folder, struct rehearsal *ret_rehearsal)
{
	CLEANUP_FREE char *path = xasprintf("%s/" REHEARSAL_FILE, folder);
	CLEANUP_JSON json_t *json = NULL;

	TRY(json_read_file_if_any(path, &json));
	return json ? err_wrap(read_json(json, ret_rehearsal), "%s", path) : NULL;
}

void rehearsal_deinit(struct rehearsal *rehearsal)
{
	free(rehearsal->reason);
	free(rehearsal->advice);
}
