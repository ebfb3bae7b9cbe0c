#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
#
# p2v vhdx convert, ended at random moments by Ctrl-C and other signals: nothing
# under the final name, nothing hidden beside it, and the same command works
# afterwards.
# shellcheck source-path=SCRIPTDIR disable=SC1091,SC2154
. "$(dirname "$(realpath "$0")")/../lib/e2e.sh"

out=$work/out
mkdir "$out"
truncate -s 60M "$work/source.raw"
dd if=/dev/urandom of="$work/source.raw" bs=1M count=8 conv=notrunc status=none
dd if=/dev/urandom of="$work/source.raw" bs=1M count=8 seek=40 conv=notrunc status=none
source_hash=$(hash_of "$work/source.raw")

# A source that is read slowly, so that there is a middle.
nbdkit --foreground --readonly --unix "$work/slow" --pidfile "$work/pid" --filter=rate \
	file "$work/source.raw" rate=64M burstiness=0.1 &
server=$!
cleanup_commands+=("kill $server")
while [ ! -e "$work/pid" ]; do
	kill -0 "$server"
	sleep 0.05
done
uri="nbd+unix:///?socket=$work/slow"

empty_soon() {
	for _ in $(seq 200); do
		nothing_left "$out" >/dev/null && return
		sleep 0.05
	done
	nothing_left "$out"
}

# interrupted SIGNAL SECONDS TARGET: to the process and all that it started, as a terminal does.
interrupted() {
	local signal=$1 after=$2 target=$3 pid status=0

	setsid "$p2v" vhdx convert "$uri" "$out/$target" &
	pid=$!
	sleep "$after"
	kill "-$signal" -- "-$pid" 2>/dev/null || kill "-$signal" "$pid" 2>/dev/null || true
	wait "$pid" || status=$?
	echo "SIG$signal after $after s: status $status"
	if [ "$status" = 0 ]; then
		# It was faster: then the result is whole.
		"$p2v" vhdx compare "$out/$target" "$work/source.raw" && rm "$out/$target"
	else
		[ "$status" = $((128 + $(kill -l "$signal"))) ] && [ ! -e "$out/$target" ]
	fi && empty_soon
}

moment=0
for round in 1 2 3 4 5; do
	for signal in INT TERM KILL HUP; do
		moment=$((moment + 1))
		case $((round % 3)) in 0) target=x.vhdx ;; 1) target=x.vhd ;; *) target=x.raw ;; esac
		after=0.$(printf %03d $((RANDOM % 450)))
		check "moment $moment: SIG$signal, $target" interrupted "$signal" "$after" "$target"
	done
done

works() {
	"$p2v" vhdx convert "$uri" "$out/x.vhdx" && "$p2v" vhdx check "$out/x.vhdx" &&
		"$p2v" vhdx compare "$out/x.vhdx" "$work/source.raw"
}
check 'the same command works afterwards' works
check 'the source is unchanged' same_content "$work/source.raw" "$source_hash"
no_process_left() {
	is_not pgrep -f "$out/"
}
check 'no process is left' no_process_left
finish
