#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
#
# tests/lib/cache.sh keeps its word: an entry is made once however many ask for
# it, has its name only when it is complete, and a builder that fails or is
# killed leaves nothing that anyone could take for an entry.
# shellcheck source-path=SCRIPTDIR disable=SC1091,SC2154
. "$(dirname "$(realpath "$0")")/../lib/e2e.sh"
. "$root/tests/lib/cache.sh"

export P2V_TEST_CACHE=$work/cache

# A builder that takes a while, and writes down that it ran.
cat >"$work/builder" <<'EOT'
#!/bin/bash
set -eu
echo x >>"${0%/*}/runs"
echo half >"$2/file"
sleep "$1"
[ "$1" != 0.01 ]
echo whole >"$2/file"
EOT
chmod 755 "$work/builder"

get() {
	cache_get thing "$(cache_key "$work/builder" -- "$1")" "$work/builder" "$1"
}

runs() {
	[ "$(wc -l <"$work/runs")" = "$1" ]
}

whole() {
	[ "$(cat "$work/cache/thing-$(cache_key "$work/builder" -- "$1")/file")" = whole ]
}

no_entry() {
	[ ! -e "$work/cache/thing-$(cache_key "$work/builder" -- "$1")" ]
}

six_at_once() {
	local i pids=()

	for i in 1 2 3 4 5 6; do
		get 0.5 >"$work/path$i" &
		pids+=($!)
	done
	for i in "${pids[@]}"; do
		wait "$i"
	done
	[ "$(sort -u "$work"/path? | wc -l)" = 1 ]
}

# Kills the one that asks; its builder goes on and has nobody to rename for.
ask_and_be_killed() {
	local asking

	get 2 &
	asking=$!
	until runs 3; do sleep 0.05; done
	kill -KILL "$asking"
	wait "$asking" || true
}

check 'six that ask get one answer' six_at_once
check 'it was made once' runs 1
check 'it is whole' whole 0.5
check 'a builder that fails is a failure' is_not get 0.01
check 'it leaves no entry' no_entry 0.01
ask_and_be_killed >/dev/null 2>&1
check 'one that is killed leaves no entry' no_entry 2
check 'the next one makes it' get 2
check 'it took another run' runs 4
check 'it is whole, too' whole 2
check 'nothing temporary is left' is_not compgen -G "$work/cache/.thing-*.tmp"
finish
