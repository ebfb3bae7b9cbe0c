#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
#
# A machine announces itself: p2v status shows it before there is a job, as long as
# it is there, and after; and has its bundle.
# shellcheck source-path=SCRIPTDIR disable=SC1091,SC2154
. "$(dirname "$(realpath "$0")")/../lib/e2e.sh"
. "$root/tests/lib/receiver.sh"

key=$work/jobs/.pairing-key
agent=$build/bin/p2v-agent

# status FILTER: of what p2v status tells, or soon does.
status() {
	soon status_is "$1" || { cat "$work/status.json" && return 1; }
}

status_is() {
	"$p2v" status --dir "$work/jobs" --json >"$work/status.json" && jq -e "$1" "$work/status.json" >/dev/null
}

# people_see PATTERN
people_see() {
	"$p2v" status --dir "$work/jobs" | tee "$work/status.txt"
	grep -qE "$1" "$work/status.txt"
}

announce() {
	"$p2v" announce "127.0.0.1:$port" --key-file "$key" "$@" </dev/null
}

# start_machine: one that is told what to announce by descriptor 9.
start_machine() {
	mkfifo "$work/phases"
	"$agent" announce "127.0.0.1:$port" --key-file "$key" --name web \
		<"$work/phases" >"$work/machine.out" 2>"$work/machine.err" &
	machine=$!
	exec 9>"$work/phases"
}

ends_well() {
	exec 9>&-
	wait "$machine"
}

# The same receiver again, at the same port.
restart_receiver() {
	stop_receiver
	# Without the writing end of what the machine reads.
	"$p2v" receive --dir "$work/jobs" --listen "127.0.0.1:$port" \
		9>&- >>"$work/receiver.out" 2>>"$work/receiver.err" &
	receiver=$!
}

make_bundle() {
	head -c 3000000 /dev/urandom >"$work/bundle"
}

has_bundle() {
	cmp "$work/bundle" "$(jq -r '.machines[0].bundles[0].file' "$work/status.json")"
}

one='.machines | length == 1 and .[0].name == "web" and (.[0]'

check 'a receiver starts' start_receiver
check 'there is nobody yet' status '.machines == [] and .jobs == []'
start_machine
check 'a machine has booted' status "$one | .phase == \"booted\" and .connected and .booted <= .phase_since)"
check 'people see it' people_see '^web +booted since .*heard of'
check 'the machine knows' grep -qx connected "$work/machine.out"
echo 'nonsense of all kinds' >&9
printf 'failed: no \033[2J disk\n' >&9
check 'it has failed' status "$one | .phase == \"failed\" and .reason == \"no  [2J disk\")"
check 'and says why' people_see '^web +failed since .*: no  \[2J disk$'
check 'what is no phase is told' grep -q "'nonsense' is no phase" "$work/machine.err"
make_bundle
check 'a bundle is brought' announce --name web --bundle "$work/bundle"
check 'status tells where it is' status "$one | .bundles | length == 1 and .[0].size_bytes == 3000000)"
check 'it is whole' has_bundle
check 'the phase is as it was' status "$one | .phase == \"failed\" and .connected)"
restart_receiver
echo sending >&9
check 'the receiver restarts, and hears of it again' status "$one | .phase == \"sending\" and .connected)"
check 'which the machine has noticed' grep -q '^lost ' "$work/machine.out"
truncate -s 1M "$work/disk.img"
check 'a job of this name' "$p2v" send "127.0.0.1:$port" --key-file "$key" --name web --disk "$work/disk.img"
check 'and the machine' status "(.jobs | length == 1) and ($one | .phase == \"sending\" and .connected))"
echo 'done' >&9
check 'it ends' ends_well
check 'it was done, and is gone' status "$one | .phase == \"done\" and (.connected | not))"
check 'people see that' people_see '^web +gone, was done'
check 'phases in one go' announce --phase waiting --reason 'for a disk' --name other
check 'are known' status '.machines[0] | .name == "other" and .phase == "waiting" and .reason == "for a disk"'

make_other_key "$work/other-key"
check 'a wrong key is refused at once' refuses 3 'another pairing key' \
	"$p2v" announce "127.0.0.1:$port" --key-file "$work/other-key"
check 'nobody there, at the end' refuses 1 'Connection refused' "$p2v" announce 127.0.0.1:1 --key-file "$key"
check 'no receiver named' refuses 2 'one receiver' "$p2v" announce
check 'no key' refuses 2 'key is missing' "$p2v" announce "127.0.0.1:$port"
check 'no phase of this name' refuses 2 "'asleep' is no phase" announce --phase asleep
check 'a name that is a path' refuses 2 'name of a machine' announce --name ../x
check 'a bundle that is not there' refuses 3 'No such file' announce --bundle "$work/none"
check 'a bundle and a phase' refuses 2 'brought alone' announce --bundle "$work/bundle" --phase 'done'
: >"$work/empty"
check 'an empty bundle' refuses 3 'empty' announce --bundle "$work/empty"
truncate -s 65M "$work/large"
check 'a bundle that is too large' refuses 3 'at most' announce --bundle "$work/large"
check 'the log has it all' grep -q ': machine web: failed: no  \[2J disk' "$work/receiver.err"
check 'and no control characters' is_not grep -q $'\033' "$work/receiver.err"
finish
