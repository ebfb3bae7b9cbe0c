#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
#
# The sample servers are what they claim to be: they come up without a failed
# unit on their own hardware, with the names and addresses that `facts` promises,
# and they do not come up on a hypervisor's. Without this negative control a
# converter that does nothing would pass the tests that build on the samples.
#
# Each machine runs once; what it said is examined afterwards.
# shellcheck source-path=SCRIPTDIR disable=SC1091,SC2153,SC2154
. "$(dirname "$(realpath "$0")")/../lib/e2e.sh"
. "$root/tests/lib/console.sh"
# shellcheck disable=SC2016 # evaluated at exit
cleanup_commands+=('kill $(jobs -p) 2>/dev/null')

# What an administrator would look at. One NAME=VALUE a line.
# shellcheck disable=SC2016 # for the guest's shell
QUESTIONS='
systemctl is-system-running --wait >/dev/null
echo "FAILED_UNITS=$(systemctl --failed --plain --no-legend | cut -d" " -f1 | paste -sd,)"
echo "HOSTNAME=$(hostname)"
echo "VIRTUALIZATION=$(systemd-detect-virt)"
echo "ROOT_DEVICE=$(findmnt -no SOURCE /)"
echo "DATA_DEVICE=$(findmnt -no SOURCE /srv)"
echo "SWAP=$(swapon --noheadings --show=NAME | paste -sd,)"
for link in /sys/class/net/*/device; do
	name=${link%/device}; name=${name##*/}
	echo "INTERFACE=$name"
	echo "MAC=$(cat /sys/class/net/$name/address)"
	echo "DRIVER=$(basename "$(readlink "$link/driver")")"
	echo "ADDRESS=$(ip -4 -brief address show dev $name | tr -s " " | cut -d" " -f3)"
done
sh -c "cd /srv && test -f SHA256SUMS && sha256sum --quiet -c SHA256SUMS" && echo DATA=whole
exit 0'

# boot CASE LIMIT [OPTION...] KIND IMAGE...: CASE.status, CASE.out, CASE.err and
# CASE.log (.com2) hold what came of it. Runs in the background, so if this
# script is interrupted it stops these jobs, and they their machines.
boot() {
	local name=$1 limit=$2
	local status=0
	shift 2

	setpriv --pdeathsig TERM "$root/tests/lib/boot-machine" \
		--log "$work/$name.log" --timeout "$limit" "$@" \
		>"$work/$name.out" 2>"$work/$name.err" </dev/null || status=$?
	printf '%d\n' "$status" >"$work/$name.status"
}

# came_up CASE, stuck CASE PATTERN: the latter for this reason.
came_up() {
	show "$1"
	[ "$(cat "$work/$1.status")" = 0 ]
}

stuck() {
	show "$1"
	[ "$(cat "$work/$1.status")" = 1 ] && grep -E -e "$2" "$work/$1.err"
}

# ask CASE KIND IMAGE...: logs in and asks.
ask() {
	boot "$1" 420 --password "$PASSWORD" --exec "$QUESTIONS" "${@:2}"
}

# The kernel of b is silent on serial ports, so here the clock has to do.
grub_starts_but_no_login() {
	stuck "$1" 'within the time limit' && grep -a 'Welcome to GRUB' "$work/$1.log"
}

show() {
	cat "$work/$1.err"
	console_text "$work/$1.log" | tail -n 15
	console_text "$work/$1.log.com2" | tail -n 15
}

# answered CASE NAME WANTED
answered() {
	grep "^$2=" "$work/$1.out"
	[ "$(sed -n "s/^$2=//p" "$work/$1.out")" = "$3" ]
}

# check_own_hardware CASE FOLDER: against the facts of that sample.
check_own_hardware() {
	local name=$1 fact value

	check "$name comes up" came_up "$name"
	check "$name has no failed unit" answered "$name" FAILED_UNITS ''
	check "$name takes itself for a physical machine" answered "$name" VIRTUALIZATION none
	check "$name has its network driver" answered "$name" DRIVER e1000e
	while IFS='=' read -r fact value; do
		case $fact in
		HOSTNAME | ROOT_DEVICE | DATA_DEVICE | INTERFACE | MAC | ADDRESS)
			check "$name: $fact is $value" answered "$name" "$fact" "$value"
			;;
		esac
	done <"$2/facts"
}

unchanged() {
	env -C "$1" sha256sum --quiet --check SHA256SUMS
}

main() {
	local make=$root/tests/lib/make-sample
	local a a2 b start limit

	a=$("$make" --dir a)
	a2=$("$make" --dir a2)
	b=$("$make" --dir b)
	. "$a/facts"

	start=$SECONDS
	ask a-own physical-a "$a/disk0.raw" &
	ask b-own physical-b "$b/disk0.raw" &
	wait
	# In this time, and a minute less, both came up, let us in and answered.
	limit=$((SECONDS - start + 60))

	ask a2-own physical-a "$a2/disk0.raw" "$a2/disk1.raw" &
	boot a-virtio $limit kvm-bios "$a/disk0.raw" &
	boot a-ide $limit hyperv-gen1 "$a/disk0.raw" &
	boot b-virtio $limit kvm-uefi "$b/disk0.raw" &
	boot b-virtio-nvram $limit --nvram "$b/nvram.fd" kvm-uefi "$b/disk0.raw" &
	boot b-no-nvram $limit hyperv-gen2 "$b/disk0.raw" &
	wait

	check_own_hardware a-own "$a"
	check_own_hardware b-own "$b"
	check_own_hardware a2-own "$a2"
	check 'a2-own: its data is whole' answered a2-own DATA whole
	check 'a does not find its root on virtio' stuck a-virtio 'ALERT! +/dev/sda1 does not exist'
	check 'a does not find its root on IDE' stuck a-ide 'ALERT! +/dev/sda1 does not exist'
	check 'b is not found by an empty NVRAM, on virtio' stuck b-virtio '"Shell>'
	check 'b is not found by an empty NVRAM, on NVMe' stuck b-no-nvram '"Shell>'
	check 'b does not come up on virtio with its NVRAM' grub_starts_but_no_login b-virtio-nvram
	check 'the images of a are as they were made' unchanged "$a"
	check 'the images of a2 are as they were made' unchanged "$a2"
	check 'the images of b are as they were made' unchanged "$b"
	finish
}

main
