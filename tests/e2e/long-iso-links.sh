#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
#
# A server whose network is a VLAN on a bond of two cards, by the words of the
# kernel's command line: it is captured, and goes on when the first card's cable is
# pulled. At the other end of both cables is a second machine with the medium's
# kernel, a shell, and the same bond and VLAN, which passes packets on to the
# receiver; there is no other way there.
# shellcheck source-path=SCRIPTDIR disable=SC1091,SC2154
. "$(dirname "$(realpath "$0")")/../lib/e2e.sh"
. "$root/tests/lib/iso-machine.sh"
. "$root/tests/lib/receiver.sh"

[ "$(id -u)" = 0 ] || skip 'the medium is built by root alone'
vlan=5

# A file system that is nearly full.
make_disk() {
	mkdir "$work/tree"
	head -c 60M /dev/urandom >"$work/tree/noise"
	truncate -s 80M "$work/disk"
	mkfs.ext4 -q -F -d "$work/tree" "$work/disk"
}

# cables SERVER: sets the QEMU arguments $cables, both ends of two; SERVER is on or off.
cables() {
	local i

	cables=()
	for i in 0 1; do
		cables+=(-netdev "stream,id=cable$i,server=$1,addr.type=unix,addr.path=$work/cable$i"
			-device "virtio-net-pci,netdev=cable$i,romfile=")
	done
}

other_machine_starts() {
	cables on
	with_pipe other ''
	start_shell "${cables[@]}" "${pipe[@]}" -mon other,mode=readline \
		-netdev user,id=net -device virtio-net-pci,netdev=net,romfile=
}

# The server's address is one of the user network, and found there by proxy ARP.
passes_packets_on() {
	runs "set -e
		modprobe -a bonding 8021q
		ip link add name both type bond
		echo active-backup >/sys/class/net/both/bonding/mode
		echo 100 >/sys/class/net/both/bonding/miimon
		for card in eth0 eth1; do
			ip link set dev \$card down
			ip link set dev \$card master both
		done
		ip link set dev both up
		ip link add link both name tagged type vlan id $vlan
		ip link set dev tagged up
		ip link set dev eth2 up
		ip address add 10.0.2.15/24 dev eth2
		ip route add 10.0.2.20/32 dev tagged
		echo 1 >/proc/sys/net/ipv4/ip_forward
		echo 1 >/proc/sys/net/ipv4/conf/eth2/proxy_arp
		echo 1 >/proc/sys/net/ipv4/conf/tagged/proxy_arp"
}

server_starts() {
	cables off
	with_pipe server ''
	start_kernel "bond=eth0,eth1 vlan=$vlan ip=10.0.2.20/24 p2v.server=10.0.2.2:$port p2v.key=$key p2v.name=linked p2v.limit=2M p2v.after=poweroff" \
		"${cables[@]}" "${pipe[@]}" -mon server,mode=readline \
		-drive "if=none,id=disk,format=raw,file=$work/disk" -device virtio-blk-pci,drive=disk
}

# received MIB: so much is at the receiver.
received() {
	[ "$(stat -c %b "$work/jobs/linked/disk0.vhdx" 2>/dev/null || echo 0)" -gt $(($1 * 2048)) ]
}

waits_for() {
	soon -p "$machine_pid" -t $((300 * ${P2V_TEST_TIME_FACTOR:-1})) "$@" || { said . | tail -n 20 && return 1; }
}

# A cable that is pulled has no link at both of its ends.
pulls_the_first_cable() {
	echo 'set_link cable0 off' >"$work/server.in"
	echo 'set_link cable0 off' >"$work/other.in"
}

check 'a disk' make_disk
hash=$(hash_of "$work/disk")
check 'the receiver starts' start_receiver
key=$(grep -oE '([0-9A-Z]{5}-){4}[0-9A-Z]{5}' "$work/jobs/.pairing-key")
check 'the other machine starts' other_machine_starts
check 'it passes packets on' passes_packets_on
check 'the server starts' server_starts
check 'it sends' waits_for received 8
check 'through the first card' answers 'cat /sys/class/net/both/bonding/active_slave' '^eth0$'
check 'by the VLAN' answers 'cat /sys/class/net/tagged/statistics/rx_bytes' '^[0-9]{7,}$'
check 'its cable is pulled' pulls_the_first_cable
check 'it goes on' waits_for received 40
check 'through the second' answers 'cat /sys/class/net/both/bonding/active_slave' '^eth1$'
check 'all is sent, and it powers off' ends_itself 300
check 'the receiver has all of it' job_is_complete linked
check 'the copy is equal' "$p2v" vhdx compare "$work/jobs/linked/disk0.vhdx" "$work/disk"
check 'the disk is as it was' same_content "$work/disk" "$hash"
finish
