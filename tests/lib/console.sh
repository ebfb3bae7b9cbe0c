# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=bash disable=SC2034
#
# Talking to a machine through its serial console: waiting for text, logging in,
# running commands and getting their output back whole. To be sourced.
#
# A port is a pair of FIFOs, PORT.in and PORT.out, as QEMU's pipe character
# device has them, and a log that collects all that came out.

# Text after which the machine will not come up any more. One regular
# expression a line.
CONSOLE_FAILURES='Kernel panic - not syncing
^\(initramfs\)
ALERT! .* does not exist
You are in (emergency|rescue) mode
Give root password for maintenance
No bootable device
grub rescue>
^grub>
dracut:/#
^Shell>
BdsDxe: No bootable option'

# console_text LOG [OFFSET]: what came out from there on, one line per line,
# without escape sequences.
console_text() {
	tail -c +$((${2:-0} + 1)) "$1" 2>/dev/null | tr -d '\0' |
		sed -E -e 's/\x1b\[[0-9;?=]*[A-Za-z]//g' -e 's/\x1b[()][A-Z0-9]//g' \
			-e 's/\r//g'
}

# console_wait SECONDS PID PATTERN FAILURES LOG...: waits for PATTERN in one of
# the logs and leaves that log's name in console_answer. Fails, with the reason
# in console_answer, when one of FAILURES shows, when the process ends, or when
# time is up. FAILURES may be empty. (No answer on standard output: a shell that
# waits for a substitution to end hears no signal.)
console_wait() {
	local deadline=$((SECONDS + $1)) pid=$2 pattern=$3 failures=$4
	local log text found
	shift 4

	while :; do
		for log in "$@"; do
			text=$(console_text "$log")
			if grep -qE -e "$pattern" <<<"$text"; then
				console_answer=$log
				return 0
			fi
			if [ -n "$failures" ] && found=$(grep -m1 -E -e "$failures" <<<"$text"); then
				console_answer="the console shows \"$found\""
				return 1
			fi
		done
		if ! kill -0 "$pid" 2>/dev/null; then
			console_answer='the machine went off'
			return 1
		fi
		if [ $SECONDS -ge "$deadline" ]; then
			console_answer="no \"$pattern\" within the time limit"
			return 1
		fi
		sleep 0.5
	done
}

# console_login PORT LOG PID PASSWORD: as root, at the login prompt that LOG ends
# with. Leaves a shell that the kernel does not talk into.
console_login() {
	local port=$1 log=$2 pid=$3 password=$4
	local from

	from=$(console_size "$log")
	printf 'root\n' >"$port.in"
	console_expect 60 "$pid" '[Pp]assword: *$' "$log" "$from" || return
	from=$(console_size "$log")
	printf '%s\n' "$password" >"$port.in"
	console_expect 90 "$pid" '# *$' "$log" "$from" || return
	from=$(console_size "$log")
	# The quotes keep the echo of the command from looking like its answer.
	printf 'stty -echo; PS1=; dmesg -n 1; echo console-"ready"\n' >"$port.in"
	console_expect 60 "$pid" '^console-ready$' "$log" "$from"
}

# console_run PORT LOG PID SECONDS TEXT: runs shell text in that shell; prints
# what it prints and returns what it returns, or 124 when time is up. Both
# travel as base64, so neither quoting nor the terminal touches them.
console_run() {
	local port=$1 log=$2 pid=$3 limit=$4 text=$5
	local from answer

	from=$(console_size "$log")
	{
		printf 'base64 -d >/run/console-run <<.\n'
		base64 <<<"$text"
		printf '.\n'
		# shellcheck disable=SC2016
		printf '%s\n' 'sh /run/console-run </dev/null >/run/console-out 2>&1; rc=$?; ' \
			'echo console-begin; base64 /run/console-out; echo console-end $rc.'
	} >"$port.in"
	console_expect "$limit" "$pid" '^console-end [0-9]+\.$' "$log" "$from" || return 124
	answer=$(console_text "$log" "$from")
	sed -n '/^console-begin$/,/^console-end/{//!p}' <<<"$answer" | base64 -d
	return "$(sed -nE 's/^console-end ([0-9]+)\.$/\1/p' <<<"$answer")"
}

console_size() {
	stat -c %s "$1"
}

# console_expect SECONDS PID PATTERN LOG OFFSET: PATTERN after that place.
console_expect() {
	local deadline=$((SECONDS + $1)) pid=$2 pattern=$3 log=$4 from=$5

	until grep -qE -e "$pattern" <<<"$(console_text "$log" "$from")"; do
		kill -0 "$pid" 2>/dev/null && [ $SECONDS -lt "$deadline" ] || return
		sleep 0.3
	done
}
