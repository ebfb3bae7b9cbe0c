#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
#
# What busybox's udhcpc calls with what it was told (busybox, networking/udhcp/dhcpc.c): sets address, routes
# and name servers of one interface. P2V_RUN_DIR is where name servers are kept by interface, P2V_RESOLV_CONF
# where they are all put. Several interfaces may have a default route: the first by number is preferred.
# shellcheck disable=SC2154 # udhcpc's variables

command -v ip >/dev/null || ip() { busybox ip "$@"; }

write_name_servers() {
	cat "$P2V_RUN_DIR"/dns.* >"$P2V_RESOLV_CONF" 2>/dev/null || :
}

add_routes() {
	metric=$(cat "/sys/class/net/$interface/ifindex")
	if [ -n "$staticroutes" ]; then
		# RFC 3442: these alone, then.
		# shellcheck disable=SC2086
		set -- $staticroutes
		while [ $# -ge 2 ]; do
			if [ "$2" = 0.0.0.0 ]; then
				ip route replace "$1" dev "$interface" metric "$metric"
			else
				ip route replace "$1" via "$2" dev "$interface" metric "$metric"
			fi
			shift 2
		done
		return
	fi
	for gateway in $router; do
		ip route replace default via "$gateway" dev "$interface" metric "$metric" 2>/dev/null && return
		# A router outside of our network, as some hosters have it.
		ip route replace "$gateway" dev "$interface" &&
			ip route replace default via "$gateway" dev "$interface" metric "$metric" && return
	done
}

case $1 in
deconfig)
	ip address flush dev "$interface"
	ip link set dev "$interface" up
	rm -f "$P2V_RUN_DIR/dns.$interface"
	write_name_servers
	;;
bound | renew)
	[ "$1" = renew ] || ip address flush dev "$interface"
	ip address add "$ip/$mask" dev "$interface" 2>/dev/null || :
	add_routes
	for server in $dns; do
		echo "nameserver $server"
	done >"$P2V_RUN_DIR/dns.$interface"
	[ -z "$domain" ] || echo "search $domain" >>"$P2V_RUN_DIR/dns.$interface"
	write_name_servers
	;;
esac
