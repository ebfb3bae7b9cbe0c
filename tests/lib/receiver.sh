# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=bash disable=SC2154
#
# A receiver on 127.0.0.1 for a test. To be sourced after e2e.sh.
#
# It keeps its jobs in $work/jobs and ends with the script.

# start_receiver: sets receiver (its process) and port.
start_receiver() {
	"$p2v" receive --dir "$work/jobs" --listen 127.0.0.1:0 >"$work/receiver.out" 2>"$work/receiver.err" &
	receiver=$!
	cleanup_commands+=("kill -KILL $receiver; wait $receiver 2>/dev/null")
	until grep -q '^listening' "$work/receiver.out"; do
		kill -0 "$receiver" || { cat "$work/receiver.err" && return 1; }
		sleep 0.1
	done
	# shellcheck disable=SC2034 # for the script
	port=$(sed -n 's/^listening on .* port //p' "$work/receiver.out")
}

# make_other_key FILE: a key that is in order, but not this receiver's.
make_other_key() {
	local other

	"$p2v" receive --dir "$work/other" --listen 127.0.0.1:0 >"$work/other.out" 2>&1 &
	other=$!
	until grep -q '^listening' "$work/other.out"; do
		kill -0 "$other" || { cat "$work/other.out" && return 1; }
		sleep 0.1
	done
	kill -KILL "$other"
	wait "$other" 2>/dev/null || true
	cp "$work/other/.pairing-key" "$1"
}

# job_is_complete JOB
job_is_complete() {
	"$p2v" status --dir "$work/jobs" --json |
		jq -e --arg job "$1" '.jobs[] | select(.name == $job) | .complete' >/dev/null
}
