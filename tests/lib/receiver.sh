# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=bash disable=SC2154
#
# A receiver on 127.0.0.1 for a test. To be sourced after work.sh.
#
# It keeps its jobs in $work/jobs and ends with the script.
receiver=

# start_receiver: sets receiver (its process) and port.
start_receiver() {
	rm -f "$work/receiver.out"
	"$p2v" receive --dir "$work/jobs" --listen 127.0.0.1:0 >"$work/receiver.out" 2>"$work/receiver.err" &
	receiver=$!
	soon -p "$receiver" grep -qs '^listening' "$work/receiver.out" || { cat "$work/receiver.err" >&2 && return 1; }
	# shellcheck disable=SC2034 # for the script
	port=$(sed -n 's/^listening on .* port //p' "$work/receiver.out")
}

stop_receiver() {
	[ -z "$receiver" ] || kill -KILL "$receiver" 2>/dev/null || true
	wait "$receiver" 2>/dev/null || true
}
cleanup_commands+=(stop_receiver)

# make_other_key FILE: a key that is in order, but not this receiver's.
make_other_key() {
	local other

	"$p2v" receive --dir "$work/other" --listen 127.0.0.1:0 >"$work/other.out" 2>&1 &
	other=$!
	soon -p "$other" grep -qs '^listening' "$work/other.out" || { cat "$work/other.out" && return 1; }
	kill -KILL "$other"
	wait "$other" 2>/dev/null || true
	cp "$work/other/.pairing-key" "$1"
}

# job_is_complete JOB
job_is_complete() {
	"$p2v" status --dir "$work/jobs" --json |
		jq -e --arg job "$1" '.jobs[] | select(.name == $job) | .complete' >/dev/null
}

# passes JOB: how many the receiver has all of; 0 also where it has no such job yet.
passes() {
	"$p2v" status --dir "$work/jobs" --json | jq --arg job "$1" '[.jobs[] | select(.name == $job) | .passes][0] // 0'
}

# is_more JOB COUNT: the receiver has all of more passes than that.
is_more() {
	[ "$(passes "$1")" -gt "$2" ]
}
