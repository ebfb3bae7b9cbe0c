#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
#
# A server that reaches its receiver through a VLAN on two bonded cards alone:
# its disk arrives, although one cable is pulled on the way. The other end of the
# cables is a switch of ours (tests/iso/tool-vlan.c), behind which QEMU's own
# network is; without the tag nothing gets through.
# shellcheck source-path=SCRIPTDIR disable=SC1091,SC2034,SC2154
. "$(dirname "$(realpath "$0")")/../lib/e2e.sh"
. "$root/tests/lib/iso-machine.sh"
. "$root/tests/lib/receiver.sh"

[ "$(id -u)" = 0 ] || skip 'the medium is built by root alone'
iso=$("$root/tests/lib/make-iso" medium)/p2v.iso
factor=${P2V_TEST_TIME_FACTOR:-1}
vlan=7

# configures OPTION...: the medium for this server.
configures() {
	rm -f "$work/set.iso"
	"$p2v" iso configure "$iso" --out "$work/set.iso" --server "10.0.2.2:$port" \
		--key-file "$work/jobs/.pairing-key" --name "$job" --after poweroff --limit 2M "$@"
}

# Both cards and the switch are on one hub, the switch's other side and the way out on another.
starts() {
	rm -f "$work"/{trunk,access}{,.qemu}
	setpriv --pdeathsig KILL -- "$build/tests/iso/tool-vlan" $vlan \
		"$work/trunk" "$work/trunk.qemu" "$work/access" "$work/access.qemu" &
	with_pipe monitor ''
	firmware bios
	medium cd "$work/set.iso"
	start_machine "${firmware[@]}" "${medium[@]}" "${pipe[@]}" -mon monitor,mode=readline \
		-drive "if=none,id=disk,format=raw,file=$work/disk" -device virtio-blk-pci,drive=disk \
		-netdev "dgram,id=trunk,local.type=unix,local.path=$work/trunk.qemu,remote.type=unix,remote.path=$work/trunk" \
		-netdev hubport,id=trunk0,hubid=1,netdev=trunk \
		-netdev hubport,id=trunk1,hubid=1 -device virtio-net-pci,id=card0,netdev=trunk1,romfile= \
		-netdev hubport,id=trunk2,hubid=1 -device e1000e,id=card1,netdev=trunk2,romfile= \
		-netdev "dgram,id=access,local.type=unix,local.path=$work/access.qemu,remote.type=unix,remote.path=$work/access" \
		-netdev hubport,id=access0,hubid=2,netdev=access \
		-netdev user,id=out -netdev hubport,id=access1,hubid=2,netdev=out
	console_wait $((300 * factor)) "$machine_pid" "$1" '' "$work/console"
}

# has MIB: so much of the disk is at the receiver.
has() {
	[ "$(stat -c %b "$work/jobs/$job/disk0.vhdx" 2>/dev/null || echo 0)" -gt $(($1 * 2048)) ]
}

pulls_a_cable() {
	soon -p "$machine_pid" has 8 && echo 'set_link card0 off' >"$work/monitor.in"
}

ends() {
	ends_itself 300 && said 'p2v: done: '
}

check 'the receiver starts' start_receiver
head -c 48M /dev/urandom >"$work/disk"
before=$(hash_of "$work/disk")
job=bonded
check 'a VLAN on a bond' configures --vlan $vlan --bond eth0,eth1 --mtu 1400
check 'starts, and gets an address by DHCP' starts 'p2v: sending: '
check 'a cable is pulled' pulls_a_cable
check 'all is sent all the same' ends
check 'the receiver has all of it' job_is_complete $job
check 'the copy is equal' "$p2v" vhdx compare "$work/jobs/$job/disk0.vhdx" "$work/disk"

job=untagged
check 'the same without the VLAN' configures --bond eth0,eth1
check 'has no network' starts 'p2v: waiting '
check 'and sends nothing' is_not has 0
stop_machine
check 'the disk is as it was' same_content "$work/disk" "$before"
finish
