/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * p2v iso configure: settings into a copy of a boot medium, or into the medium
 * itself.  Each is taken by the table of what the booted machine will read
 * (live-config.h), so that what it would not understand is told here and now.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "iso/configure.h"
#include "iso/live-config.h"
#include "p2v/base/file.h"
#include "p2v/base/mem.h"
#include "p2v/base/output.h"
#include "p2v/base/strv.h"
#include "p2v/cmd/iso.h"
#include "p2v/sync/key.h"

enum { OPT_OUT = 256, OPT_IN_PLACE, OPT_SHOW, OPT_KEY_FILE, OPT_SSH_KEY, OPT_DISK, OPT_SET, OPT_SETTINGS };

/* Options that are a setting of the medium, by its name there. */
static const char *const settings[] = {"server", "name",      "limit", "after", "ip", "gateway",
				       "dns",	 "interface", "vlan",  "bond",	"mtu"};
#define SETTINGS (sizeof settings / sizeof *settings)

static const struct option long_options[] = {
	{"out", required_argument, NULL, OPT_OUT},
	{"in-place", no_argument, NULL, OPT_IN_PLACE},
	{"show", no_argument, NULL, OPT_SHOW},
	{"key-file", required_argument, NULL, OPT_KEY_FILE},
	{"ssh-key", required_argument, NULL, OPT_SSH_KEY},
	{"disk", required_argument, NULL, OPT_DISK},
	{"set", required_argument, NULL, OPT_SET},
	{"server", required_argument, NULL, OPT_SETTINGS},
	{"name", required_argument, NULL, OPT_SETTINGS + 1},
	{"limit", required_argument, NULL, OPT_SETTINGS + 2},
	{"after", required_argument, NULL, OPT_SETTINGS + 3},
	{"ip", required_argument, NULL, OPT_SETTINGS + 4},
	{"gateway", required_argument, NULL, OPT_SETTINGS + 5},
	{"dns", required_argument, NULL, OPT_SETTINGS + 6},
	{"interface", required_argument, NULL, OPT_SETTINGS + 7},
	{"vlan", required_argument, NULL, OPT_SETTINGS + 8},
	{"bond", required_argument, NULL, OPT_SETTINGS + 9},
	{"mtu", required_argument, NULL, OPT_SETTINGS + 10},
	{"help", no_argument, NULL, 'h'},
	{0},
};

struct configure_options {
	const char *medium, *out;
	const char *key_file, *ssh_key;
	struct strv disks;
	struct text lines; /* NAME=VALUE, one a line */
	struct live_config config; /* what the machine will make of the lines */
	bool in_place, show;
};

static void print_help(void)
{
	const char *name, *help;

	fputs("p2v iso configure ISO --out NEW [settings]\n"
	      "p2v iso configure ISO --in-place [settings]\n"
	      "p2v iso configure ISO --show\n"
	      "\n"
	      "Makes a copy of a boot medium that has these settings and no others, so that a server\n"
	      "that boots it needs nobody at its console. ISO may also be the file config.img of a\n"
	      "folder for network boot. Without settings, the medium asks again.\n"
	      "\n"
	      "  --server HOST[:PORT]  the receiver\n"
	      "  --key-file FILE       its pairing key, which is then in the medium: keep it safe\n"
	      "  --name NAME           of the job there\n"
	      "  --disk DISK           device, serial number or WWN; may be repeated\n"
	      "  --limit RATE          bytes a second\n"
	      "  --after WHAT          poweroff, reboot, shell or wait, once all is sent\n"
	      "  --ip, --gateway, --dns, --interface, --vlan, --bond, --mtu\n"
	      "                        the network, where DHCP does not tell (see p2v-iso(1))\n"
	      "  --ssh-key FILE        a public key whose owner may log in as root\n"
	      "  --set NAME=VALUE      any setting of the medium by its name there\n"
	      "  --out NEW             the copy to make\n"
	      "  --in-place            change ISO itself\n"
	      "  --show                print its settings, but the key\n"
	      "\n"
	      "The settings by their names; one that the medium would not understand is refused:\n",
	      stdout);
	for (size_t i = 0; live_config_describe(i, &name, &help); i++)
		printf("  %-14s %s\n", name, help);
}

static struct err *check_line(const char *value)
{
	for (const char *c = value; *c; c++)
		if ((unsigned char)*c < ' ' || *c == 0x7f)
			return err_advise(err_usage("there is a control character in it"),
					  "say it in one line");
	return NULL;
}

static struct err *add_setting(struct configure_options *options, const char *name, const char *value)
{
	TRY(err_wrap(check_line(value), "%s", name));
	TRY(err_advise(live_config_set(&options->config, name, value),
		       "'p2v iso configure --help' lists the settings"));
	text_addf(&options->lines, "%s=%s\n", name, value);
	return NULL;
}

/* --set NAME=VALUE */
static struct err *take_set(struct configure_options *options, const char *word)
{
	const char *equals = strchr(word, '=');
	CLEANUP_FREE char *name = equals ? xstrndup(word, equals - word) : NULL;

	if (!name)
		return err_advise(err_usage("--set: '%s' is no setting", word), "say NAME=VALUE");
	if (!strcmp(name, "key"))
		return err_advise(err_usage("--set: a key is in every list of processes that way"),
				  "say --key-file FILE");
	return add_setting(options, name, equals + 1);
}

/* They become one list, by commas. */
static struct err *take_disk(struct configure_options *options, const char *disk)
{
	if (!*disk || disk[strcspn(disk, ", ")])
		return err_advise(err_usage("--disk: '%s' cannot stand in a list by commas", disk),
				  "name it by its device or WWN, and repeat --disk for another");
	strv_add(&options->disks, disk);
	return NULL;
}

static struct err *take_option(void *arg, int option)
{
	struct configure_options *options = arg;

	switch (option) {
	case OPT_OUT:
		options->out = optarg;
		return NULL;
	case OPT_KEY_FILE:
		options->key_file = optarg;
		return NULL;
	case OPT_SSH_KEY:
		options->ssh_key = optarg;
		return NULL;
	case OPT_DISK:
		return take_disk(options, optarg);
	case OPT_SET:
		return take_set(options, optarg);
	}
	if (option >= OPT_SETTINGS && option < OPT_SETTINGS + (int)SETTINGS)
		return add_setting(options, settings[option - OPT_SETTINGS], optarg);
	options->in_place |= option == OPT_IN_PLACE;
	options->show |= option == OPT_SHOW;
	return NULL;
}

static struct err *add_key(struct configure_options *options)
{
	CLEANUP_KEY struct key *key = NULL;
	char text[KEY_TEXT_BYTES];

	if (!options->key_file)
		return NULL;
	TRY(key_read_file(options->key_file, &key));
	key_format(key, text);
	text_addf(&options->lines, "key=%s\n", text);
	explicit_bzero(text, sizeof text);
	return NULL;
}

/* The first line that is one: "ssh-ed25519 AAAA… comment". */
static struct err *add_ssh_key(struct configure_options *options)
{
	CLEANUP_FCLOSE FILE *file = NULL;
	CLEANUP_FREE char *line = NULL;
	size_t size = 0;

	if (!options->ssh_key)
		return NULL;
	file = fopen(options->ssh_key, "re");
	if (!file)
		return err_as(err_from_errno(errno, "%s", options->ssh_key), ERR_REFUSED);
	while (getline(&line, &size, file) > 0) {
		line[strcspn(line, "\r\n")] = '\0';
		if (str_starts_with(line, "ssh-") || str_starts_with(line, "ecdsa-"))
			return add_setting(options, "ssh", line);
	}
	return err_advise(err_refused("%s: there is no SSH public key in it", options->ssh_key),
			  "name a file like ~/.ssh/id_ed25519.pub");
}

static struct err *add_disks(struct configure_options *options)
{
	CLEANUP_TEXT struct text list = {0};

	for (size_t i = 0; i < options->disks.count; i++)
		text_addf(&list, "%s%s", i ? "," : "", options->disks.items[i]);
	return list.bytes ? add_setting(options, "disks", list.data) : NULL;
}

static struct err *show(const char *medium)
{
	CLEANUP_BLK struct blk *blk = NULL;
	CLEANUP_STRV struct strv lines = {0};
	CLEANUP_FREE char *text = NULL;

	TRY(err_as(blk_file_open(medium, 0, 0, &blk), ERR_REFUSED));
	TRY(err_wrap(configure_read(blk, &text), "%s", medium));
	strv_split(&lines, text, "\n");
	for (size_t i = 0; i < lines.count; i++)
		puts(str_starts_with(lines.items[i], "key=") ? "key=(not shown)" : lines.items[i]);
	explicit_bzero(text, strlen(text));
	return NULL;
}

static struct err *write_settings(const char *file, const char *medium, const char *text)
{
	CLEANUP_BLK struct blk *blk = NULL;

	TRY(err_as(blk_file_open(file, BLK_FILE_WRITE, 0, &blk), ERR_REFUSED));
	return err_wrap(configure_write(blk, text), "%s", medium);
}

static struct err *write_copy(const struct configure_options *options)
{
	CLEANUP_OUTPUT struct output *output = NULL;

	TRY(output_begin(options->out, &output));
	/* A key may be in it: for its owner alone. */
	TRY(output_name_it(output, file_copy(options->medium, output_path(output), 0600)));
	TRY(write_settings(output_path(output), options->medium, options->lines.data ?: ""));
	return output_commit(output);
}

static struct err *configure(struct configure_options *options)
{
	if (options->show)
		return show(options->medium);
	TRY(add_disks(options));
	TRY(add_key(options));
	TRY(add_ssh_key(options));
	if (options->in_place)
		return write_settings(options->medium, options->medium, options->lines.data ?: "");
	return write_copy(options);
}

struct err *iso_cmd_configure(int argc, char **argv)
{
	struct configure_options options = {0};
	bool help = false;
	struct err *err;

	err = cmd_take_options(argc, argv, long_options, take_option, &options, print_help, &help);
	if (!err && !help && optind != argc - 1)
		err = err_advise(err_usage("iso configure: one boot medium is wanted"),
				 "'p2v iso configure --help' tells more");
	if (!err && !help && (options.out != NULL) + options.in_place + options.show != 1)
		err = err_advise(err_usage("iso configure: one of --out, --in-place and --show is wanted"),
				 "'p2v iso configure --help' tells more");
	if (!err && !help) {
		options.medium = argv[optind];
		err = err_advise(configure(&options), "name a medium that 'p2v iso build' has made");
	}
	strv_deinit(&options.disks);
	if (options.lines.data)
		explicit_bzero(options.lines.data, options.lines.bytes);
	text_deinit(&options.lines);
	live_config_deinit(&options.config);
	return err;
}
