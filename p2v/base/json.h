/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Files of JSON, over jansson: read with a clear error, written whole or not at all. */
#ifndef P2V_BASE_JSON_H
#define P2V_BASE_JSON_H

#include <jansson.h>
#include <stdint.h>

#include "p2v/base/err.h"

struct err *json_read_file(const char *path, json_t **ret_value) ERR_MUST_CHECK;
/* *ret_value is NULL, and that is no error, where there is no such file. */
struct err *json_read_file_if_any(const char *path, json_t **ret_value) ERR_MUST_CHECK;

/* Indented, keys in the order they were set, synced, then renamed over path. */
struct err *json_write_file(const char *path, const json_t *value) ERR_MUST_CHECK;

/* A member by name; the error names member and context.  Strings stay the object's. */
struct err *json_get_string(const json_t *object, const char *key, const char **ret_value) ERR_MUST_CHECK;
struct err *json_get_u64(const json_t *object, const char *key, uint64_t *ret_value) ERR_MUST_CHECK;
const char *json_string_or(const json_t *object, const char *key, const char *fallback);

/* Sets a string, or null for NULL. */
void json_set_string(json_t *object, const char *key, const char *value);
void json_set_u64(json_t *object, const char *key, uint64_t value);
void json_set_bool(json_t *object, const char *key, int value);

DEFINE_CLEANUP(json, json_t *, json_decref)
#define CLEANUP_JSON CLEANUP(cleanup_json)

#endif
