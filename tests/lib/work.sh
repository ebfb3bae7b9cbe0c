# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=bash
#
# What every script that runs the program shares. To be sourced.
#
# Gives $p2v (the program), $build, $root (the repository), and $work, a folder of
# the script's own in $TMPDIR (/var/tmp: a disk, not memory). The folder goes with
# the script, after the commands in $cleanup_commands and the loop devices of its files.
root=$(realpath "$(dirname "${BASH_SOURCE[0]}")/../..")
build=$(realpath "${P2V_BUILD:-$root/build}")
# shellcheck disable=SC2034 # for the scripts
p2v=$build/bin/p2v
# shellcheck disable=SC2034
work=$(realpath "$(mktemp -d "${TMPDIR:-/var/tmp}/p2v-test.XXXXXX")")
cleanup_commands=()

# By its file: the number of a device that a script has given back may be another one's by then.
detach_own_loops() {
	local device file

	losetup --list --noheadings --output NAME,BACK-FILE 2>/dev/null | while read -r device file; do
		[ "${file#"$work/"}" = "$file" ] || losetup -d "$device"
	done
}

at_exit() {
	local command

	for command in "${cleanup_commands[@]}" detach_own_loops; do
		eval "$command" || true
	done
	rm -rf "$work"
}

# soon [-p PROCESS] [-t SECONDS] COMMAND...: tries until it succeeds, for a minute, or so long, and no longer than that
# process lives.
soon() {
	local process=$$ end=$((SECONDS + 60))

	[ "$1" != -p ] || { process=$2 && shift 2; }
	[ "$1" != -t ] || { end=$((SECONDS + $2)) && shift 2; }
	while ! "$@"; do
		if [ "$SECONDS" -gt "$end" ] || ! kill -0 "$process"; then
			# It may have done so with its last breath.
			"$@"
			return
		fi
		sleep 0.1
	done
}

trap at_exit EXIT
trap 'exit 130' INT TERM
