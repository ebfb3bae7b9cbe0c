# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=bash
#
# One libguestfs appliance that serves a whole recipe, in between its steps on the
# host. To be sourced by recipes, after common.sh.

# start_appliance FOLDER DISK...: it reads its commands from a pipe of ours, in
# FOLDER, so it cannot outlive this script.
start_appliance() {
	local pipe=$1/appliance disk disks=()
	shift

	for disk in "$@"; do
		disks+=(-a "$disk")
	done
	mkfifo "$pipe.in" "$pipe.out"
	stdbuf -oL guestfish --format=raw "${disks[@]}" <"$pipe.in" >"$pipe.out" &
	appliance_pid=$!
	exec {to_appliance}>"$pipe.in" {from_appliance}<"$pipe.out"
	rm "$pipe.in" "$pipe.out"
	appliance run
}

stop_appliance() {
	exec {to_appliance}>&-
	wait "$appliance_pid"
}

# appliance_copy ROOT FOLDER [TAR-OPTION...]: the tree becomes the content of what is
# mounted there; FOLDER is for a pipe.
appliance_copy() {
	local root=$1 fifo=$2/fifo
	shift 2

	mkfifo "$fifo"
	tar -C "$root" --xattrs "$@" -cf - . >"$fifo" &
	appliance tar-in "$fifo" /
	wait $!
	rm "$fifo"
}

# appliance LINE: runs a line of guestfish and prints its output. Guestfish ends
# at its first error, and with it the answers.
appliance() {
	local line

	printf '%s\necho appliance-done\n' "$*" >&"$to_appliance"
	while read -r line <&"$from_appliance"; do
		[ "$line" != appliance-done ] || return 0
		printf '%s\n' "$line"
	done
	return 1
}

# appliance_wait DEVICE...: until it has them; its kernel looks for partitions in its own time.
appliance_wait() {
	local device

	for device in "$@"; do
		appliance "debug sh \"for i in $(seq -s ' ' 60); do test -b $device && break; sleep 1; done; test -b $device\""
	done
}
