/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "iso/live-address.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "p2v/base/mem.h"

/* Bits of the address, 0 if it is none. */
static unsigned address_bits(const char *text)
{
	struct in6_addr address;

	if (inet_pton(AF_INET, text, &address) == 1)
		return 32;
	return inet_pton(AF_INET6, text, &address) == 1 ? 128 : 0;
}

struct err *live_address_check(const char *text)
{
	if (!address_bits(text))
		return err_usage("'%s' is no address: say for example 192.0.2.7 or 2001:db8::7", text);
	return NULL;
}

struct err *live_address_check_network(const char *text)
{
	CLEANUP_FREE char *address = xstrndup(text, strcspn(text, "/"));
	const char *bits = text + strlen(address);
	unsigned max = address_bits(address);
	char *end = NULL;
	unsigned long value = *bits ? strtoul(bits + 1, &end, 10) : 0;

	if (!max || !end || end == bits + 1 || *end || bits[1] == '-' || bits[1] == '+' || !value ||
	    value > max)
		return err_usage("'%s' is not ADDRESS/BITS: say for example 192.0.2.7/24", text);
	return NULL;
}

/* 24 for 255.255.255.0; 0 if it is no mask. */
static unsigned mask_bits(const char *text)
{
	struct in_addr mask;
	uint32_t zeros;

	if (inet_pton(AF_INET, text, &mask) != 1)
		return 0;
	zeros = ~ntohl(mask.s_addr);
	return zeros & (zeros + 1) ? 0 : 32 - __builtin_popcount(zeros);
}

static void replace(char **text, char *value)
{
	free(*text);
	*text = value;
}

enum { CLIENT, SERVER, GATEWAY, MASK, NAME, INTERFACE, HOW, DNS, DNS_2, FIELDS };

/* Fields divided by colons; one may be empty, and the last ones be left out. */
static void split_fields(char *text, const char *fields[FIELDS])
{
	for (size_t i = 0; i < FIELDS; i++)
		fields[i] = strsep(&text, ":") ?: "";
}

static struct err *check_fields(const char *const fields[FIELDS])
{
	static const unsigned char addresses[] = {CLIENT, GATEWAY, DNS, DNS_2};

	for (size_t i = 0; i < sizeof addresses; i++)
		if (*fields[addresses[i]])
			TRY(live_address_check(fields[addresses[i]]));
	if (*fields[CLIENT] && !mask_bits(fields[MASK]))
		return err_usage("'%s' is no network mask: say for example 255.255.255.0", fields[MASK]);
	return NULL;
}

static struct err *take_fields(struct live_network_config *network, char *text)
{
	const char *fields[FIELDS];

	split_fields(text, fields);
	TRY(check_fields(fields));
	replace(&network->address,
		*fields[CLIENT] ? xasprintf("%s/%u", fields[CLIENT], mask_bits(fields[MASK])) : NULL);
	if (*fields[GATEWAY])
		replace(&network->gateway, xstrdup(fields[GATEWAY]));
	if (*fields[INTERFACE])
		replace(&network->interface, xstrdup(fields[INTERFACE]));
	for (size_t i = DNS; i <= DNS_2; i++)
		if (*fields[i])
			strv_add(&network->dns, fields[i]);
	return NULL;
}

struct err *live_address_take_ip(struct live_network_config *network, const char *text)
{
	static const char *const automatic[] = {"", "dhcp", "on", "any", "auto"};
	CLEANUP_FREE char *copy = xstrdup(text);

	for (size_t i = 0; i < sizeof automatic / sizeof *automatic; i++)
		if (!strcmp(text, automatic[i])) {
			replace(&network->address, NULL);
			return NULL;
		}
	if (!strchr(text, '/') && strchr(text, ':') && !address_bits(text))
		return take_fields(network, copy);
	TRY(live_address_check_network(text));
	replace(&network->address, take_ptr(copy));
	return NULL;
}
