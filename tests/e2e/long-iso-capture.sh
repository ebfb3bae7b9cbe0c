#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Servers are started from the boot medium, set up beforehand, and captured
# without a hand on the keyboard: their disks reach a receiver, are converted,
# and boot. Nothing is written to them meanwhile. Of the first all is sent, and is
# there to the byte, although the cable is pulled, the receiver restarted and the
# power cut on the way.
#
# P2V_ISO_SERVERS: which samples; default: all.
# shellcheck source-path=SCRIPTDIR disable=SC1091,SC2034,SC2054,SC2154
. "$(dirname "$(realpath "$0")")/../lib/e2e.sh"
. "$root/tests/lib/iso-machine.sh"
. "$root/tests/lib/receiver.sh"

[ "$(id -u)" = 0 ] || skip 'the medium is built by root alone'
iso=$("$root/tests/lib/make-iso" medium)/p2v.iso
limit=$((1800 * ${P2V_TEST_TIME_FACTOR:-1}))

# Firmware, medium, controllers and cards of a server: between them all that the
# medium has to know.
hardware_of() {
	case $1 in
	a)
		firmware bios
		medium cd "$set_iso"
		devices=(-device "ide-hd,drive=disk0,bus=ide.0" -device "e1000e,netdev=net,romfile=")
		;;
	b)
		firmware secure
		medium usb "$set_iso"
		devices=(-device "nvme,drive=disk0,serial=NVME0001" -device "vmxnet3,netdev=net,romfile=")
		;;
	c)
		firmware uefi
		medium cd "$set_iso"
		devices=(-device megasas,id=raid -device scsi-hd,drive=disk0,bus=raid.0,scsi-id=0
			-device virtio-blk-pci,drive=disk1
			-device "virtio-net-pci,netdev=net,romfile=")
		;;
	esac
}

# sets_up [OPTION...]
sets_up() {
	"$p2v" iso configure "$iso" --out "$set_iso" --server "10.0.2.2:$port" \
		--key-file "$work/jobs/.pairing-key" --name "$server" --after poweroff "$@"
}

starts() {
	with_pipe monitor ''
	start_machine "${firmware[@]}" "${medium[@]}" "${drives[@]}" "${devices[@]}" \
		-netdev user,id=net "${pipe[@]}" -mon monitor,mode=readline
	"$@"
}

# received: the MiB of the disks that are at the receiver.
received() {
	local file blocks=0

	for file in "$work/jobs/$server"/disk*.vhdx; do
		[ ! -e "$file" ] || blocks=$((blocks + $(stat -c %b "$file")))
	done
	echo $((blocks / 2048))
}

# begun MIB: more than that is there.
begun() {
	[ "$(received)" -gt "$1" ]
}

# written: the MiB that this receiver has written.
written() {
	echo $(($(sed -n 's/^wchar: //p' "/proc/$receiver/io") >> 20))
}

# nothing_twice BEFORE TIMES: the receiver has written what is there now and was not when it started, and no more
# than was under way the times that it was interrupted: 64 MiB each (wire.h), and a little for its own records.
nothing_twice() {
	echo "# there: $(received) MiB, before: $1 MiB, written: $(written) MiB"
	[ "$(written)" -le $(($(received) - $1 + 64 * $2 + 16)) ]
}

waits_for() {
	local end=$((SECONDS + limit))

	until "$@"; do
		if [ $SECONDS -gt $end ] || ! kill -0 "$machine_pid"; then
			said . | tail -n 20
			return 1
		fi
		sleep 0.5
	done
}

is_seen() {
	"$p2v" status --dir "$work/jobs" --json | jq -e --arg name "$server" '.machines[] | select(.name == $name)'
}

pulls_the_cable() {
	echo 'set_link net off' >"$work/monitor.in"
	sleep 60
	echo 'set_link net on' >"$work/monitor.in"
	waits_for begun 160
}

restarts_the_receiver() {
	stop_receiver
	before_restart=$(received)
	"$p2v" receive --dir "$work/jobs" --listen "127.0.0.1:$port" >"$work/receiver.out" 2>>"$work/receiver.err" &
	receiver=$!
	waits_for begun 240
}

loses_power() {
	local before

	stop_machine
	before=$(received)
	is_not job_is_complete "$server" || return
	starts waits_for says_sending
	[ "$(received)" -ge "$before" ]
}

# went_on: the receiver began with nothing once, and after each of the others took up what it had.
went_on() {
	cat "$work/jobs/$server/log"
	[ "$(grep -c 'to send all of it' "$work/jobs/$server/log")" = 1 ] &&
		[ "$(grep -c 'to go on where it was' "$work/jobs/$server/log")" -ge 2 ]
}

says_sending() {
	said 'p2v: sending: '
}

ends() {
	ends_itself 1800 && said 'p2v: done: '
}

# The same bytes at both ends.
equal() {
	local i

	for i in "${!disks[@]}"; do
		"$p2v" vhdx compare "$work/jobs/$server/disk$i.vhdx" "${disks[i]}" || return
	done
}

captured() {
	local server=server-$1 set_iso=$work/set-$1.iso

	sample_disks "$1"
	hardware_of "$1"
	if [ "$1" = "$first" ]; then
		check "$1: the medium is set up" sets_up --set all=yes
	else
		check "$1: the medium is set up" sets_up
	fi
	check "$1: starts, and the receiver sees it" starts waits_for is_seen
	if [ "$1" = "$first" ]; then
		check "$1: begins" waits_for begun 80
		check "$1: goes on after the cable was out for a minute" pulls_the_cable
		check "$1: and nothing came twice" nothing_twice 0 1
		check "$1: goes on with a receiver that was restarted" restarts_the_receiver
		check "$1: goes on where it was after the power was cut" loses_power
	fi
	check "$1: is sent, and powers off" ends
	check "$1: the receiver has all of it" job_is_complete "$server"
	if [ "$1" = "$first" ]; then
		check "$1: it never began anew" went_on
		check "$1: and nothing came twice since the receiver's restart" nothing_twice "$before_restart" 2
		check "$1: the copies are equal" equal
	fi
	check "$1: nothing was written to its disks" nothing_written
	check "$1: what came is converted" "$p2v" convert "$work/jobs/$server" --to kvm --out "$work/out"
	check "$1: and boots" "$p2v" prove "$work/out/$server" --to kvm
	rm -rf "${layers[@]}" "$set_iso" "$work/out/$server" "$work/jobs/$server"
}

check 'the receiver starts' start_receiver
servers=${P2V_ISO_SERVERS:-a b c}
first=${servers%% *}
for name in $servers; do
	captured "$name"
done
finish
