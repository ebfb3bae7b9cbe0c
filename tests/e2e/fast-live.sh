#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
#
# p2v-agent live, as the static program it is: what it refuses, that every word
# is in the manual, and the interface on two consoles of a machine that has
# nothing else. Screens are tested in tests/iso.
# shellcheck source-path=SCRIPTDIR disable=SC1091,SC2154
. "$(dirname "$(realpath "$0")")/../lib/e2e.sh"

agent=$build/bin/p2v-agent

# ends STATUS PATTERN COMMAND...
ends() {
	local wanted=$1 pattern=$2 status=0

	shift 2
	"$@" >"$work/ends.log" 2>&1 </dev/null || status=$?
	cat "$work/ends.log"
	[ "$status" = "$wanted" ] && grep -q -e "$pattern" "$work/ends.log"
}

words() {
	"$agent" live --help | sed '1,/^Words/d' | awk '{ print $1 }'
}

are_in_manual() {
	local word missing=0

	[ "$(words | wc -l)" -gt 10 ] || return
	for word in $(words); do
		grep -q "B<$word>" "$root/p2v/man/p2v-agent.pod" || { echo "$word: not in the manual" && missing=1; }
	done
	return $missing
}

check 'help' ends 0 'after  *wait' "$agent" live --help
check 'an unknown option' ends 2 'is not known' "$agent" live --nonsense
check 'an unknown word' ends 2 'is not known' "$agent" live nonsense
check 'every word is in the manual' are_in_manual
case $(stat -f -c %T /) in
tmpfs | ramfs) ;;
*) check 'another machine is left alone' ends 3 "was not started from p2v's ISO" "$agent" live ;;
esac
check 'without a terminal there is no interface' ends 2 'wants a terminal' "$agent" live --here \
	--run-dir "$work/run" --config /dev/null --command-line /dev/null
finish
