/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * /etc/netplan/NAME.yaml, netplan(5), by libyaml.  Of every device: its kind,
 * what it is matched by, the name it is given, its addresses.  A device that is
 * matched by a pattern has no name that could be kept.
 */
#include <string.h>
#include <yaml.h>

#include "p2v/base/mem.h"
#include "p2v/guest/inspect-network.h"

struct document {
	const struct inspect_context *context;
	const char *path;
	yaml_document_t *yaml;
};

static const char *scalar(const yaml_node_t *node)
{
	return node && node->type == YAML_SCALAR_NODE ? (const char *)node->data.scalar.value : NULL;
}

static yaml_node_t *member(struct document *document, const yaml_node_t *mapping, const char *key)
{
	if (!mapping || mapping->type != YAML_MAPPING_NODE)
		return NULL;
	for (yaml_node_pair_t *pair = mapping->data.mapping.pairs.start;
	     pair < mapping->data.mapping.pairs.top; pair++) {
		const char *name = scalar(yaml_document_get_node(document->yaml, pair->key));

		if (name && strcmp(name, key) == 0)
			return yaml_document_get_node(document->yaml, pair->value);
	}
	return NULL;
}

static void add_addresses(struct document *document, const yaml_node_t *device,
			  struct guest_interface *interface)
{
	const yaml_node_t *list = member(document, device, "addresses");

	if (!list || list->type != YAML_SEQUENCE_NODE)
		return;
	for (const yaml_node_item_t *item = list->data.sequence.items.start;
	     item < list->data.sequence.items.top; item++) {
		const yaml_node_t *node = yaml_document_get_node(document->yaml, *item);

		/* An address with options is a mapping from the address. */
		if (node && node->type == YAML_MAPPING_NODE &&
		    node->data.mapping.pairs.start < node->data.mapping.pairs.top)
			node = yaml_document_get_node(document->yaml, node->data.mapping.pairs.start->key);
		if (scalar(node))
			network_add_address(interface, scalar(node), NULL);
	}
}

static void add_device(struct document *document, const char *id, const yaml_node_t *device, bool is_physical)
{
	const yaml_node_t *match = member(document, device, "match");
	const char *set_name = scalar(member(document, device, "set-name"));
	const char *match_name = scalar(member(document, match, "name"));
	const char *name = set_name ? set_name : match ? match_name : id;
	struct guest_interface *interface;

	if (!name || strpbrk(name, "*?["))
		return;
	interface = network_interface(document->context->inspection, name, document->path);
	interface->is_physical = is_physical;
	network_set_mac(interface, scalar(member(document, match, "macaddress")));
	add_addresses(document, device, interface);
}

static void add_devices(struct document *document, const yaml_node_t *network)
{
	static const struct {
		const char *key;
		bool is_physical;
	} kinds[] = {
		{"ethernets", true}, {"wifis", true},  {"modems", true},   {"bonds", false},
		{"bridges", false},  {"vlans", false}, {"tunnels", false}, {"vrfs", false},
	};

	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
		const yaml_node_t *devices = member(document, network, kinds[i].key);

		if (!devices || devices->type != YAML_MAPPING_NODE)
			continue;
		for (yaml_node_pair_t *pair = devices->data.mapping.pairs.start;
		     pair < devices->data.mapping.pairs.top; pair++) {
			const char *id = scalar(yaml_document_get_node(document->yaml, pair->key));

			if (id)
				add_device(document, id, yaml_document_get_node(document->yaml, pair->value),
					   kinds[i].is_physical);
		}
	}
}

static struct err *read_file(void *arg, const char *path, const char *content)
{
	const struct inspect_context *context = arg;
	yaml_document_t yaml;
	yaml_parser_t parser;

	if (!yaml_parser_initialize(&parser))
		return err_nomem();
	yaml_parser_set_input_string(&parser, (const unsigned char *)content, strlen(content));
	if (yaml_parser_load(&parser, &yaml)) {
		struct document document = {context, path, &yaml};

		add_devices(&document, member(&document, yaml_document_get_root_node(&yaml), "network"));
		yaml_document_delete(&yaml);
	} else {
		log_warning(context->log, "%s: line %zu: not YAML: %s", path, parser.problem_mark.line + 1,
			    parser.problem ? parser.problem : "unknown problem");
	}
	yaml_parser_delete(&parser);
	return NULL;
}

struct err *network_read_netplan(const struct inspect_context *context)
{
	return inspect_each_file(context->guest, "/etc/netplan", ".yaml", read_file, (void *)context);
}
