/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Facts about a machine, read from below a prefix: "" on the machine itself, a
 * folder with a recording in tests.  What is missing is NULL, 0 or empty: of
 * most facts there are machines that do not have them.  Paths are printf
 * formats, and begin with a slash.
 */
#ifndef CAPTURE_SYSROOT_H
#define CAPTURE_SYSROOT_H

#include <stdbool.h>
#include <stdint.h>

#include "p2v/base/strv.h"

/* All of these give strings that the caller frees. */

char *sysroot_path(const char *root, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* A whole file as text, without white space at its ends; NULL also where nothing else is in it. */
char *sysroot_read(const char *root, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Adds the lines of a file that are not empty. */
void sysroot_lines(const char *root, struct strv *ret_lines, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* Bytes as they are; at most 1 MiB. */
uint8_t *sysroot_read_bytes(const char *root, size_t *ret_bytes, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* The last part of what a symbolic link points to. */
char *sysroot_link(const char *root, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Where a path really leads, links followed. */
char *sysroot_real(const char *root, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The number ("8:1") of the block device that a path below /dev leads to. */
char *sysroot_device_number(const char *root, const char *path);

uint64_t sysroot_number(const char *root, const char *format, ...) __attribute__((format(printf, 2, 3)));
bool sysroot_has(const char *root, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The names in a folder, sorted so that sda2 comes before sda10. */
void sysroot_list(const char *root, const char *folder, struct strv *ret_names);
/* The value of KEY=value or KEY="value" in the text of such a file; NULL if it is not there. */
char *sysroot_value(const char *text, const char *key);
/* In place: blanks and the like, which mountinfo and /proc/swaps write as three octal digits. */
void sysroot_unescape(char *text);

#endif
