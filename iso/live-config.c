/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Words of the kernel's command line and of /etc/p2v.conf: one table.
 *
 * A word that is wrong is a complaint, and what it was about stays unset: the
 * machine has been started and nobody may be near it, so whatever else was told
 * still counts.  Whether it may then begin by itself is the caller's decision.
 */
#include "iso/live-config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "iso/live-address.h"
#include "p2v/base/mem.h"
#include "p2v/base/size.h"
#include "p2v/sync/address.h"
#include "p2v/sync/codec.h"

#define COMMAND_LINE_PREFIX "p2v."

static void replace(char **text, const char *value)
{
	free(*text);
	*text = *value ? xstrdup(value) : NULL;
}

static struct err *take_server(struct live_config *config, const char *value)
{
	CLEANUP(sync_address_deinit) struct sync_address address = {0};

	if (*value) {
		TRY(sync_address_parse(value, &address));
		if (!address.host)
			return err_usage("'%s' has no host: say HOST or HOST:PORT", value);
	}
	replace(&config->server, value);
	return NULL;
}

static struct err *take_key(struct live_config *config, const char *value)
{
	struct key *key;

	TRY(key_parse(value, &key));
	key_destroy(config->key);
	config->key = key;
	return NULL;
}

static struct err *take_name(struct live_config *config, const char *value)
{
	if (*value && !wire_is_job_name(value, strlen(value)))
		return err_usage(
			"'%s' cannot be the name of a job: letters, digits, '.', '_' and '-', the first "
			"not a '.'",
			value);
	replace(&config->name, value);
	return NULL;
}

static void replace_list(struct strv *list, const char *value)
{
	strv_deinit(list);
	*list = (struct strv){0};
	strv_split(list, value, ", ");
}

static struct err *take_disks(struct live_config *config, const char *value)
{
	replace_list(&config->disks, strcmp(value, "auto") ? value : "");
	return NULL;
}

static struct err *take_limit(struct live_config *config, const char *value)
{
	uint64_t bytes_per_second;
	CLEANUP_ERR struct err *err = *value ? size_parse("limit", value, &bytes_per_second) : NULL;

	if (err)
		return err_usage("'%s' is no rate: say for example 10M", value);
	replace(&config->limit, value);
	return NULL;
}

static struct err *take_read_error(struct live_config *config, const char *value)
{
	if (strcmp(value, "zero") && strcmp(value, "stop"))
		return err_usage("'%s' is not known: say stop or zero", value);
	config->zero_unreadable = !strcmp(value, "zero");
	return NULL;
}

static struct err *take_flag(bool *flag, const char *value)
{
	if (strcmp(value, "1") && strcmp(value, "0") && strcmp(value, "yes") && strcmp(value, "no"))
		return err_usage("'%s' is neither yes nor no", value);
	*flag = *value == '1' || *value == 'y';
	return NULL;
}

static struct err *take_verify(struct live_config *config, const char *value)
{
	return take_flag(&config->verify, value);
}

static struct err *take_all(struct live_config *config, const char *value)
{
	return take_flag(&config->all, value);
}

static const char *const after_names[] = {"wait", "poweroff", "reboot", "shell"};

const char *live_after_name(enum live_after after)
{
	return after_names[after];
}

static struct err *take_after(struct live_config *config, const char *value)
{
	for (size_t i = 0; i < sizeof after_names / sizeof *after_names; i++)
		if (!strcmp(value, after_names[i])) {
			config->after = i;
			return NULL;
		}
	return err_usage("'%s' is not known: say wait, poweroff, reboot or shell", value);
}

/* Only seen whether it is one: the image's start script has begun the service already. */
static struct err *take_ssh(struct live_config *config, const char *value)
{
	static const char *const kinds[] = {"ssh-", "ecdsa-", "sk-"};

	(void)config;
	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
		if (str_starts_with(value, kinds[i]) && strchr(value, ' '))
			return NULL;
	return *value ? err_usage("this is no SSH public key: say for example 'ssh-ed25519 AAAA…'") : NULL;
}

static struct err *take_ip(struct live_config *config, const char *value)
{
	return live_address_take_ip(&config->network, value);
}

static struct err *take_gateway(struct live_config *config, const char *value)
{
	if (*value)
		TRY(live_address_check(value));
	replace(&config->network.gateway, value);
	return NULL;
}

static struct err *take_dns(struct live_config *config, const char *value)
{
	CLEANUP_STRV struct strv servers = {0};

	strv_split(&servers, value, ", ");
	for (size_t i = 0; i < servers.count; i++)
		TRY(live_address_check(servers.items[i]));
	replace_list(&config->network.dns, value);
	return NULL;
}

static struct err *take_interface(struct live_config *config, const char *value)
{
	replace(&config->network.interface, value);
	return NULL;
}

static struct err *take_bond(struct live_config *config, const char *value)
{
	CLEANUP_STRV struct strv members = {0};

	strv_split(&members, value, ", ");
	for (size_t i = 0; i < members.count; i++)
		for (size_t k = 0; k < i; k++)
			if (!strcmp(members.items[i], members.items[k]))
				return err_usage("'%s' is named twice", members.items[i]);
	replace_list(&config->network.bond, value);
	return NULL;
}

/* Documentation/networking/bonding.rst of the kernel, "mode". */
static const char *const bond_modes[] = {
	"balance-rr", "active-backup", "balance-xor", "broadcast", "802.3ad", "balance-tlb", "balance-alb",
};

static struct err *take_bond_mode(struct live_config *config, const char *value)
{
	for (size_t i = 0; i < sizeof bond_modes / sizeof *bond_modes; i++)
		if (!strcmp(value, bond_modes[i])) {
			replace(&config->network.bond_mode, value);
			return NULL;
		}
	return err_usage("'%s' is no mode of bonds: say for example active-backup or 802.3ad", value);
}

static struct err *take_number(const char *value, unsigned long min, unsigned long max, unsigned *ret_number)
{
	char *end;
	unsigned long number;

	if (!*value || !strcmp(value, "0")) {
		*ret_number = 0;
		return NULL;
	}
	number = strtoul(value, &end, 10);
	if (*end || *value < '0' || *value > '9' || number < min || number > max)
		return err_usage("'%s' is no number from %lu to %lu", value, min, max);
	*ret_number = number;
	return NULL;
}

static struct err *take_vlan(struct live_config *config, const char *value)
{
	return take_number(value, 1, 4094, &config->network.vlan);
}

static struct err *take_mtu(struct live_config *config, const char *value)
{
	return take_number(value, 576, 65535, &config->network.mtu);
}

static const struct word {
	const char *name;
	bool is_network; /* known on the command line without the prefix, too */
	struct err *(*take)(struct live_config *config, const char *value);
	const char *help;
} words[] = {
	{"server", false, take_server, "the receiver: HOST or HOST:PORT"},
	{"key", false, take_key, "its pairing key; with both, sending begins by itself"},
	{"name", false, take_name, "of the job at the receiver; default: the machine's serial number"},
	{"disks", false, take_disks, "auto, or devices, serial numbers or WWNs, by commas"},
	{"limit", false, take_limit, "at most so many bytes a second: 10M"},
	{"on-read-error", false, take_read_error,
	 "stop (default) or zero: send zeros for what cannot be read"},
	{"verify", false, take_verify, "yes: the receiver reads its copies again at the end"},
	{"all", false, take_all, "yes: also what no file system uses"},
	{"after", false, take_after, "wait (default), poweroff, reboot or shell, when all is sent"},
	{"ssh", false, take_ssh, "a public key that may log in by SSH as root; off without it"},
	{"ip", true, take_ip, "dhcp, ADDRESS/BITS, or CLIENT:SERVER:GATEWAY:MASK:NAME:INTERFACE:HOW:DNS:DNS"},
	{"gateway", true, take_gateway, "address of the router"},
	{"dns", true, take_dns, "addresses of name servers, by commas"},
	{"interface", true, take_interface, "use this one alone: its name or MAC address"},
	{"vlan", true, take_vlan, "number of a VLAN on it, 1 to 4094"},
	{"bond", true, take_bond, "interfaces to bond, names or MAC addresses, by commas"},
	{"bondmode", true, take_bond_mode, "active-backup (default), 802.3ad, …"},
	{"mtu", true, take_mtu, "largest packet, 576 to 65535 bytes"},
};

static const struct word *find_word(const char *name)
{
	for (size_t i = 0; i < sizeof words / sizeof *words; i++)
		if (!strcmp(name, words[i].name))
			return &words[i];
	return NULL;
}

bool live_config_describe(size_t index, const char **ret_name, const char **ret_help)
{
	if (index >= sizeof words / sizeof *words)
		return false;
	*ret_name = words[index].name;
	*ret_help = words[index].help;
	return true;
}

struct err *live_config_set(struct live_config *config, const char *name, const char *value)
{
	const struct word *word = find_word(name);

	if (!word)
		return err_usage("'%s' is no word of p2v's", name);
	return err_wrap(word->take(config, value), "%s", name);
}

/* Any error becomes a complaint. */
static void take_or_complain(struct live_config *config, const char *name, const char *value)
{
	CLEANUP_ERR struct err *err = live_config_set(config, name, value);

	if (err)
		strv_add(&config->complaints, err_message(err));
}

/* One word of the command line, "NAME=VALUE" or "NAME". */
static void take_parameter(struct live_config *config, char *word)
{
	char *equals = strchr(word, '=');
	const struct word *known;
	bool is_ours = str_starts_with(word, COMMAND_LINE_PREFIX);
	char *name = is_ours ? word + strlen(COMMAND_LINE_PREFIX) : word;

	if (equals)
		*equals = '\0';
	known = find_word(name);
	/* p2v.debug.level=1 would be for somebody else of ours: nothing is known with a second dot. */
	if (is_ours || (known && known->is_network && equals))
		take_or_complain(config, name, equals ? equals + 1 : "");
}

/* Parameters are divided by blanks; those between double quotes do not count (kernel, next_arg()). */
void live_config_take_command_line(const char *text, struct live_config *config)
{
	CLEANUP_FREE char *copy = xstrdup(text), *word = xmalloc(strlen(text) + 1);
	size_t bytes = 0;
	bool is_quoted = false;

	for (const char *at = copy;; at++) {
		if (*at == '"') {
			is_quoted = !is_quoted;
		} else if (!*at || (!is_quoted && strchr(" \t\r\n", *at))) {
			word[bytes] = '\0';
			if (bytes)
				take_parameter(config, word);
			bytes = 0;
			if (!*at)
				break;
		} else {
			word[bytes++] = *at;
		}
	}
	explicit_bzero(copy, strlen(text));
	explicit_bzero(word, strlen(text));
}

static char *trim(char *text)
{
	size_t bytes;

	text += strspn(text, " \t\r");
	bytes = strlen(text);
	while (bytes && strchr(" \t\r", text[bytes - 1]))
		text[--bytes] = '\0';
	return text;
}

void live_config_take_file(const char *text, struct live_config *config)
{
	CLEANUP_FREE char *copy = xstrdup(text);
	unsigned number = 0;
	char *rest = copy, *line;

	while ((line = strsep(&rest, "\n"))) {
		char *equals;

		number++;
		line = trim(line);
		equals = strchr(line, '=');
		if (!*line || *line == '#')
			continue;
		if (!equals) {
			strv_addf(&config->complaints, "line %u of /etc/p2v.conf is not NAME=VALUE", number);
			continue;
		}
		*equals = '\0';
		take_or_complain(config, trim(line), trim(equals + 1));
	}
	explicit_bzero(copy, strlen(text));
}

static void network_deinit(struct live_network_config *network)
{
	free(network->address);
	free(network->gateway);
	free(network->interface);
	free(network->bond_mode);
	strv_deinit(&network->dns);
	strv_deinit(&network->bond);
}

void live_config_deinit(struct live_config *config)
{
	free(config->server);
	key_destroy(config->key);
	free(config->name);
	free(config->limit);
	strv_deinit(&config->disks);
	strv_deinit(&config->complaints);
	network_deinit(&config->network);
	*config = (struct live_config){0};
}
