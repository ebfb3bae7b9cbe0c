/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * p2v-agent: the source's side, one static file that needs nothing of the server
 * but its kernel.
 *
 * What a static program must not do is load libraries of the server's: those of
 * another C library's version may end it.  So names are looked up by what is in
 * the C library itself (/etc/hosts, then DNS), whatever nsswitch.conf says, and
 * OpenSSL does not read the server's configuration.
 */
#include <nss.h>
#include <openssl/crypto.h>

#include "p2v/cmd/live-shutdown.h"
#include "p2v/cmd/program.h"

static const struct verb verbs[] = {
	{"scan", "[--json] [--used]", "tell what this machine is, and which disks a capture takes", cmd_scan},
	{"send", "HOST [--disk DISK...] [--key-file FILE]", "bring disks to a receiver", cmd_send},
	{"cutover", "[JOB] [--status]", "freeze the server and complete its copy", cmd_cutover},
	{"announce", "HOST [--key-file FILE]", "tell a receiver that this machine is there", cmd_announce},
	{"live", "[--here]", "what runs on a machine started from the ISO", cmd_live},
};

int main(int argc, char **argv)
{
	static const struct program program = {
		.name = "p2v-agent",
		.summary = "brings a server's disks to 'p2v receive' on another machine",
		.verbs = verbs,
		.verb_count = sizeof verbs / sizeof *verbs,
	};

	if (live_shutdown_is_last(argv[0]))
		live_shutdown_be_last(argc > 1 ? argv[1] : "");
	__nss_configure_lookup("hosts", "files dns");
	__nss_configure_lookup("services", "files");
	OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG, NULL);
	return program_run(&program, argc, argv);
}
