/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Reports as report.sh writes them. */
#ifndef TESTS_PROVE_LIB_REPORT_H
#define TESTS_PROVE_LIB_REPORT_H

/*
 * A whole report, "begin" to "end", from lines in which '|' stands for the tab and which lack the mark.
 * The caller frees it.
 */
char *make_report(const char *lines);

/* The lines of a healthy server on virtio: root on vg-root on vda2, one disk of 1 MiB, enp0s2 with
 * 52:54:00:12:34:56 and 192.0.2.10/24, host web01, nothing failed. */
extern const char healthy_lines[];

#endif
