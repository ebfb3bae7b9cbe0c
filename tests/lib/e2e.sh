# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=bash
#
# What the end-to-end scripts share. To be sourced first.
#
# Gives what work.sh gives, and counts checks:
#
#	check 'the source is unchanged' same_hash before after
#	refuses 3 'is a folder' "$p2v" convert /tmp --out "$work/out"
#	finish

set -euo pipefail
# shellcheck source-path=SCRIPTDIR disable=SC1091
. "$(dirname "${BASH_SOURCE[0]}")/work.sh"

# libguestfs builds its appliance once for all, wherever a test puts TMPDIR.
export LIBGUESTFS_CACHEDIR=${LIBGUESTFS_CACHEDIR:-/var/tmp}
passed=0
failed=0

skip() {
	echo "skipped: $*"
	exit 77
}

# check NAME COMMAND...: counts whether the command succeeds; its output is shown if not.
check() {
	local name=$1
	shift
	if "$@" >"$work/check.log" 2>&1; then
		passed=$((passed + 1))
		echo "ok - $name"
	else
		failed=$((failed + 1))
		echo "not ok - $name"
		sed 's/^/#   /' "$work/check.log" | tail -n 40
	fi
}

# is_not COMMAND...: the negative control: succeeds if the command fails.
is_not() {
	if "$@"; then
		return 1
	fi
}

# refuses STATUS PATTERN COMMAND...: it must end with that exit code (a glob, so that [13] is 1 or 3), say what matches on its first line of
# standard error, and what to do on a second one.
refuses() {
	local wanted=$1 pattern=$2 status=0
	shift 2

	"$@" >"$work/refuses.out" 2>"$work/refuses.err" </dev/null || status=$?
	grep '^p2v: ' "$work/refuses.err" | grep -v '^p2v: warning: ' >"$work/refuses.lines" || true
	cat "$work/refuses.err"
	echo "exit code $status, wanted $wanted: $pattern"
	# shellcheck disable=SC2053
	[[ $status == $wanted ]] &&
		tail -n 2 "$work/refuses.lines" | head -n 1 | grep -qE -e "$pattern" &&
		[ "$(wc -l <"$work/refuses.lines")" -ge 2 ]
}

# says PATTERN COMMAND...: prints a line that matches, whatever it ends with.
says() {
	local pattern=$1

	shift
	"$@" | tee "$work/says.log"
	grep -qE -e "$pattern" "$work/says.log"
}

# json FILTER COMMAND...: prints one JSON value, for which the jq filter is true, whatever it ends with.
json() {
	local filter=$1

	shift
	"$@" >"$work/json.log" 2>"$work/json.err" || true
	cat "$work/json.log"
	jq -es "length == 1 and (.[0] | $filter)" "$work/json.log"
}

# same_content FILE HASH: the file's sha256 is HASH.
same_content() {
	[ "$(sha256sum <"$1" | cut -d' ' -f1)" = "$2" ]
}

hash_of() {
	sha256sum <"$1" | cut -d' ' -f1
}

# nothing_left FOLDER: neither results nor working folders are in it.
nothing_left() {
	[ ! -e "$1" ] || [ -z "$(ls -A "$1")" ] || { ls -lA "$1" && return 1; }
}

finish() {
	echo "$passed passed, $failed failed"
	[ "$failed" = 0 ]
}
