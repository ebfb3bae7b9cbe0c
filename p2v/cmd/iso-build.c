/* SPDX-License-Identifier: GPL-3.0-or-later */
/* p2v iso build: see iso/build.h. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "iso/build.h"
#include "p2v/base/file.h"
#include "p2v/base/mem.h"
#include "p2v/cmd/iso.h"

#define DEFAULT_SUITE "bookworm"

enum { OPT_OUT = 256, OPT_PXE, OPT_NO_FIRMWARE, OPT_SUITE, OPT_MIRROR, OPT_PACKAGES, OPT_AGENT };

static const struct option long_options[] = {
	{"out", required_argument, NULL, OPT_OUT},
	{"pxe", required_argument, NULL, OPT_PXE},
	{"no-firmware", no_argument, NULL, OPT_NO_FIRMWARE},
	{"suite", required_argument, NULL, OPT_SUITE},
	{"mirror", required_argument, NULL, OPT_MIRROR},
	{"packages", required_argument, NULL, OPT_PACKAGES},
	{"agent", required_argument, NULL, OPT_AGENT},
	{"verbose", no_argument, NULL, 'v'},
	{"help", no_argument, NULL, 'h'},
	{0},
};

struct build_options {
	struct iso_build_options iso;
	struct strv mirrors;
	unsigned verbose;
};

static void print_help(void)
{
	fputs("p2v iso build --out FILE [options]\n"
	      "\n"
	      "Makes a medium that boots any x86-64 server, from an optical drive, a USB stick or\n"
	      "the network, by BIOS or UEFI (with Secure Boot, too), and runs p2v-agent there.\n"
	      "\n"
	      "  --out FILE       the ISO to make\n"
	      "  --pxe DIR        also a folder to boot from over the network\n"
	      "  --no-firmware    without the firmware files that some network cards and storage\n"
	      "                   adapters want, which are not free software\n"
	      "  --suite NAME     Debian's release (default: " DEFAULT_SUITE ")\n"
	      "  --mirror SOURCE  where its packages are: a URL or a line as of sources.list; may be\n"
	      "                   repeated (default: where this machine's apt takes them)\n"
	      "  --packages DIR   keep the unpacked packages there, and use them the next time\n"
	      "  --agent FILE     the p2v-agent to take (default: beside p2v)\n"
	      "  -v, --verbose    show each step\n",
	      stdout);
}

static struct err *take_option(void *arg, int option)
{
	struct build_options *options = arg;

	switch (option) {
	case OPT_OUT:
		options->iso.iso = optarg;
		break;
	case OPT_PXE:
		options->iso.pxe_dir = optarg;
		break;
	case OPT_NO_FIRMWARE:
		options->iso.packages.firmware = false;
		break;
	case OPT_SUITE:
		options->iso.packages.suite = optarg;
		break;
	case OPT_MIRROR:
		strv_add(&options->mirrors, optarg);
		break;
	case OPT_PACKAGES:
		options->iso.packages_dir = optarg;
		break;
	case OPT_AGENT:
		options->iso.agent = optarg;
		break;
	case 'v':
		options->verbose++;
		break;
	}
	return NULL;
}

/* The one beside this program. */
static struct err *find_agent(char **ret_path)
{
	char path[PATH_MAX];
	ssize_t length = readlink("/proc/self/exe", path, sizeof path - 1);
	CLEANUP_FREE char *folder = NULL;

	if (length < 0)
		return err_from_errno(errno, "/proc/self/exe");
	path[length] = '\0';
	folder = file_folder(path);
	*ret_path = xasprintf("%s/p2v-agent", folder);
	return NULL;
}

static struct err *build(struct build_options *options)
{
	struct log log = cmd_log(options->verbose);
	char size[FORMAT_BYTES];
	CLEANUP_FREE char *agent = NULL;
	struct stat st;

	TRY(find_agent(&agent));
	options->iso.packages.log = &log;
	options->iso.packages.mirrors = &options->mirrors;
	options->iso.temporary_dir = cmd_temporary_dir();
	if (!options->iso.agent)
		options->iso.agent = agent;
	TRY(iso_build(&options->iso));
	if (stat(options->iso.iso, &st))
		return err_from_errno(errno, "%s", options->iso.iso);
	printf("%s: %s\n", options->iso.iso, format_size(st.st_size, size));
	if (options->iso.pxe_dir)
		printf("%s: a folder to boot from over the network\n", options->iso.pxe_dir);
	return NULL;
}

struct err *iso_cmd_build(int argc, char **argv)
{
	struct build_options options = {.iso.packages = {.suite = DEFAULT_SUITE, .firmware = true}};
	bool help = false;
	struct err *err;

	err = cmd_take_options(argc, argv, long_options, take_option, &options, print_help, &help);
	if (!err && !help && (optind < argc || !options.iso.iso))
		err = err_advise(err_usage("iso build: --out is wanted, and no other argument"),
				 "say for example --out p2v.iso");
	if (!err && !help)
		err = build(&options);
	strv_deinit(&options.mirrors);
	return err;
}
