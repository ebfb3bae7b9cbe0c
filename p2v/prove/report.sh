#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Put here by p2v, into a throw-away copy of the disk: when the system is up, it
# reports on a serial port what it runs on. Nothing else is done.
# Arguments: seconds of uptime to wait at most, I/O address of the port, and the
# addresses that shall show up.

PATH=/usr/sbin:/usr/bin:/sbin:/bin
LC_ALL=C
SYSTEMD_COLORS=0
export PATH LC_ALL SYSTEMD_COLORS
limit=$1
port_address=$2
shift 2

# Results come back in variables: under emulation a fork for each would be felt.

uptime_seconds() {
	read -r uptime _ </proc/uptime
	uptime=${uptime%%.*}
}

# A value, one line, from a file that may not be there.
value() {
	got=
	[ ! -r "$1" ] || read -r got <"$1" || :
} 2>/dev/null

emit() {
	printf 'P2V'
	printf '\t%s' "$@"
	printf '\n'
}

# "starting" until every job is done. With --wait systemctl sleeps as long (from
# version 240 on; older ones fail at once), but not where the end is emergency mode.
wait_for_boot() {
	while uptime_seconds && [ "$uptime" -lt "$limit" ]; do
		timeout 20 systemctl is-system-running --wait >/dev/null 2>&1
		state=$(systemctl is-system-running 2>/dev/null)
		case $state in
		running | degraded | maintenance | stopping) return ;;
		esac
		if [ -z "$state" ] && [ "$uptime" -gt 60 ] &&
			[ -z "$(systemctl list-jobs --no-legend --no-pager 2>&1)" ]; then
			return
		fi
		sleep 2
	done
}

has_addresses() {
	shown=$(ip -o addr show)
	for address; do
		case $shown in
		*" $address "*) ;;
		*) return 1 ;;
		esac
	done
}

# wait_up_to SECONDS COMMAND…
wait_up_to() {
	uptime_seconds
	until=$((uptime + $1))
	shift
	while ! "$@"; do
		uptime_seconds
		[ "$uptime" -lt "$until" ] || return
		sleep 1
	done
}

has_prompt() {
	grep -aq 'login:' /dev/vcs1
} 2>/dev/null

# Drivers from a device in sysfs up to its bus.
find_drivers() {
	dir=$1
	drivers=
	while [ "${dir#/sys/devices/}" != "$dir" ]; do
		if [ -L "$dir/driver" ]; then
			link=$(readlink "$dir/driver")
			drivers="$drivers ${link##*/}"
		fi
		dir=${dir%/*}
	done
	drivers=${drivers# }
}

report_mounts() {
	while read -r _ _ device _ folder rest; do
		rest=${rest##* - }
		type=${rest%% *}
		rest=${rest#* }
		source=${rest%% *}
		case $folder:$source in
		/:* | *:/dev/*) emit mount "$folder" "$device" "$type" "$source" "$(readlink -f "$source")" ;;
		esac
	done </proc/self/mountinfo
	while read -r file type _; do
		[ "$file" = Filename ] || emit swap "$file" "$type"
	done </proc/swaps
	while read -r source folder type options _; do
		case $source in
		'' | '#'*) ;;
		*) emit fstab "$source" "$folder" "$type" "$options" ;;
		esac
	done </etc/fstab
} 2>/dev/null

report_blocks() {
	for block in /sys/class/block/*; do
		name=${block##*/}
		case $name in
		loop* | ram* | sr* | fd* | zram*) continue ;;
		esac
		real=$(readlink -f "$block")
		slaves=
		for slave in "$block"/slaves/*; do
			[ -e "$slave" ] && slaves="$slaves ${slave##*/}"
		done
		find_drivers "$real"
		value "$block/dev"
		number=$got
		value "$block/size"
		size=$got
		value "$block/dm/name"
		emit block "$name" "$number" "$size" "$real" "$drivers" "${slaves# }" "$got"
	done
	for link in /dev/disk/by-uuid/*; do
		[ -L "$link" ] && emit uuid "${link##*/}" "$(readlink -f "$link")"
	done
}

report_network() {
	for nic in /sys/class/net/*; do
		name=${nic##*/}
		[ "$name" != lo ] || continue
		real=
		[ -e "$nic/device" ] && real=$(readlink -f "$nic/device")
		find_drivers "$real"
		value "$nic/address"
		mac=$got
		value "$nic/operstate"
		nic_state=$got
		value "$nic/bonding_slave/perm_hwaddr"
		emit nic "$name" "$mac" "$nic_state" "$drivers" "$got"
	done
	ip -o addr show 2>/dev/null | while read -r _ name family address rest; do
		rest=${rest##*scope }
		emit address "$name" "$family" "$address" "${rest%% *}"
	done
}

report_units() {
	systemctl list-units --state=failed --no-legend --no-pager --plain --full 2>/dev/null |
		while read -r unit rest; do
			# Without --plain, old ones put a dot in front.
			case $unit in
			*.*) ;;
			*) unit=${rest%% *} ;;
			esac
			emit failed "$unit" "$(systemctl show -p Result "$unit" 2>/dev/null)"
			journalctl -b -u "$unit" -n 10 -o cat --no-pager 2>/dev/null |
				while read -r line; do
					emit failed-log "$unit" "$line"
				done
		done
	case $state in
	running | degraded) return ;;
	esac
	systemctl list-jobs --no-legend --no-pager 2>/dev/null |
		while read -r _ unit type job_state; do
			emit job "$unit" "$type" "$job_state"
		done
}

report() {
	emit begin 1
	emit kernel "$(uname -r)"
	emit host "$(uname -n)"
	emit state "$state"
	emit uptime "$settled"
	value /proc/cmdline
	emit cmdline "$got"
	report_mounts
	report_blocks
	report_network
	report_units
	has_prompt && emit prompt yes
	uptime_seconds
	emit reported "$uptime"
}

# The port at that address; on kernels that do not tell, the one it usually is.
find_port() {
	for tty in /sys/class/tty/ttyS*; do
		value "$tty/port"
		[ "$got" = "$port_address" ] || continue
		value "$tty/type"
		[ "$got" != 0 ] || continue
		port=/dev/${tty##*/}
		return
	done
	[ -c /dev/ttyS3 ] && port=/dev/ttyS3
}

state=
wait_for_boot
uptime_seconds
settled=$uptime
[ $# -eq 0 ] || wait_up_to 30 has_addresses "$@"
[ "$(systemctl is-active getty@tty1.service 2>/dev/null)" != active ] || wait_up_to 20 has_prompt
body=$(report)
lines=$(printf '%s\n' "$body" | wc -l)
# Named in the environment only by p2v's own tests.
port=${P2V_REPORT_TO-}
[ -n "$port" ] || find_port
[ -n "$port" ] || exit 1
stty -F "$port" 115200 raw -echo 2>/dev/null
{
	printf '%s\n' "$body"
	emit end "$lines"
} >"$port" 2>/dev/null
