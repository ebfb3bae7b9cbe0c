# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=bash disable=SC2016,SC2034,SC2054,SC2154
#
# Server a (hardware.sh) as a machine that runs, with p2v-agent on it, for tests of what becomes of a whole
# server. To be sourced after e2e.sh and receiver.sh.
#
#	make_guest          its disk, anew: $work/server.raw
#	start_guest         it runs, and somebody is logged in as root at its console
#	guest SHELL_TEXT    runs it there
#
# $guest_pid is the machine, $work/com2.log its console; 192.0.2.1 is for it where our receiver is. It ends by
# itself only when it powers off: a restart stays in the same machine.
# shellcheck source-path=SCRIPTDIR disable=SC1091
. "$root/tests/lib/console.sh"
. "$root/tests/lib/hardware.sh"

guest_pid=
guest_seconds=$((300 * ${P2V_TEST_TIME_FACTOR:-1}))
LOGIN='login: *$'

# What the server gets beside its disk is a tar archive on another one.
make_guest() {
	local folder

	folder=$("$root/tests/lib/make-sample" --dir a) &&
		password=$(sed -n 's/^PASSWORD=//p' "$folder/facts") &&
		cp --sparse=always "$folder/disk0.raw" "$work/server.raw" &&
		chmod 644 "$work/server.raw" || return
	mkdir -p "$work/tools" &&
		cp "$build/bin/p2v-agent" "$work/jobs/.pairing-key" "$work/tools" &&
		tar -c -C "$work/tools" -f "$work/tools.tar" . &&
		truncate -s %1M "$work/tools.tar"
}

start_qemu() {
	rm -f "$work"/com2.*
	mkfifo "$work/com2.in" "$work/com2.out"
	setpriv --pdeathsig KILL -- cat "$work/com2.out" >"$work/com2.log" &
	setpriv --pdeathsig KILL -- qemu-system-x86_64 -nodefaults -no-user-config -display none -vga std \
		-accel "${P2V_TEST_ACCEL:-tcg,thread=multi}" -machine q35 -m 1024 -smp 2 -serial null \
		-chardev "pipe,id=com2,path=$work/com2" -serial chardev:com2 \
		-drive "if=none,id=disk,format=raw,file=$work/server.raw" \
		-device "ide-hd,drive=disk,bus=ide.0,serial=$HW_A_DISK_SERIAL,bootindex=0" \
		-drive "if=none,id=tools,format=raw,readonly=on,file=$work/tools.tar" -device virtio-blk-pci,drive=tools \
		-netdev "user,id=net,net=192.0.2.0/24,host=192.0.2.1,dns=192.0.2.53,hostfwd=tcp:127.0.0.1:0-192.0.2.10:22" \
		-device "e1000e,netdev=net,addr=$HW_A_NIC_SLOT,mac=$HW_A_MAC,romfile=" \
		>"$work/qemu.log" 2>&1 </dev/null &
	guest_pid=$!
}

start_guest() {
	start_qemu
	console_wait "$guest_seconds" "$guest_pid" "$LOGIN" "$CONSOLE_FAILURES" "$work/com2.log" ||
		{ echo "$console_answer" && cat "$work/qemu.log" && return 1; }
	console_login "$work/com2" "$work/com2.log" "$guest_pid" "$password" &&
		guest 'mkdir /usr/local/tools && tar -x -C /usr/local/tools -f /dev/vda &&
			cp /usr/local/tools/p2v-agent /usr/local/bin'
}

guest() {
	console_run "$work/com2" "$work/com2.log" "$guest_pid" "$guest_seconds" "$1"
}

# What it says from now on is new.
mark_console() {
	console_mark=$(console_size "$work/com2.log")
}

# guest_says PATTERN [SECONDS]: after the mark, or soon.
guest_says() {
	console_expect "$((${2:-300} * ${P2V_TEST_TIME_FACTOR:-1}))" "$guest_pid" "$1" "$work/com2.log" "$console_mark" ||
		{ console_text "$work/com2.log" "$console_mark" | tail -n 40 && return 1; }
}

# powers_off SECONDS: the machine does so in time.
powers_off() {
	local end=$((SECONDS + $1 * ${P2V_TEST_TIME_FACTOR:-1}))

	while kill -0 "$guest_pid" 2>/dev/null; do
		[ $SECONDS -lt $end ] || { console_text "$work/com2.log" | tail -n 40 && return 1; }
		sleep 0.5
	done
	wait "$guest_pid"
}

stop_guest() {
	[ -z "$guest_pid" ] || kill -KILL "$guest_pid" 2>/dev/null || true
	[ -z "$guest_pid" ] || wait "$guest_pid" 2>/dev/null || true
	guest_pid=
}
cleanup_commands+=(stop_guest)

# is_answered: somebody speaks at the server's port for remote logins.
is_answered() {
	local forward

	forward=$(ss -Hltnp | sed -n "s/.*127.0.0.1:\([0-9]*\) .*pid=$guest_pid,.*/\1/p")
	timeout 20 bash -c "exec 3<>/dev/tcp/127.0.0.1/$forward && head -c 4 <&3" | grep SSH-
}

# equal_to_server JOB: the copy is the server's disk, byte by byte.
equal_to_server() {
	"$p2v" vhdx compare "$work/server.raw" "$work/jobs/$1/disk0.vhdx"
}

# Writes to its disk all the time, up to its end; each line of the log is on the disk before the next one.
LOAD='i=0; mkdir -p /var/load; while :; do i=$((i + 1)); dd if=/dev/urandom of=/var/load/$((i % 8)) bs=32k count=$((i % 24 + 1)) \
	conv=notrunc,fsync 2>/dev/null; echo $i >>/var/load/log; sync /var/load/log; sleep 0.2; done'
