# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=bash disable=SC2034,SC2054,SC2154
#
# Server d (sample/d.sh) as a machine in QEMU that works (guest-load). To be sourced
# after e2e.sh and receiver.sh.
#
#	start_server LAYOUT     sets server_disks, what its disks are in the end
#	in_server TEXT          runs shell text there and prints what it prints
#	switch_off              as by its power button: nothing is written any more
#
# What the load says is in $work/outside, what the console shows in $work/console.
# shellcheck source-path=SCRIPTDIR disable=SC1091
. "$root/tests/lib/hardware.sh"
. "$root/tests/lib/machines.sh"
. "$root/tests/lib/console.sh"

server_pid='' server_disks=()
server_time=$((300 * ${P2V_TEST_TIME_FACTOR:-1}))

# make_medium: a CD with the agent, the key and the load, as an administrator may bring them.
make_medium() {
	rm -rf "$work/medium" && mkdir "$work/medium"
	cp "$build/bin/p2v-agent" "$root/tests/lib/guest-load" "$work/medium"
	cp "$work/jobs/.pairing-key" "$work/medium/key"
	xorriso -as mkisofs -quiet -R -o "$work/medium.iso" "$work/medium"
}

# copy_disks LAYOUT: of its own, for the server to write to.
copy_disks() {
	local image

	rm -f "$work"/server-disk*
	server_disks=()
	for image in $("$root/tests/lib/make-sample" "d-$1"); do
		server_disks+=("$work/server-${image##*/}")
		cp --sparse=always "$image" "${server_disks[-1]}"
		chmod 644 "${server_disks[-1]}"
	done
	[ ${#server_disks[@]} -gt 0 ]
}

# compose_server: sets qemu_args.
compose_server() {
	local n

	qemu_args=(-nodefaults -no-user-config -no-reboot -display none -accel "${P2V_TEST_ACCEL:-tcg,thread=multi}")
	machine_add_board q35 bios C "$work"
	for n in "${!server_disks[@]}"; do
		qemu_args+=(-drive "if=none,id=disk$n,format=raw,discard=unmap,file=${server_disks[n]}"
			-device "ide-hd,drive=disk$n,bus=ide.$n,model=$HW_C_DISK_MODEL,serial=${HW_C_DISK_SERIALS[n]}")
	done
	qemu_args+=(-drive "if=none,id=medium,media=cdrom,readonly=on,format=raw,file=$work/medium.iso"
		-device ide-cd,drive=medium,bus=ide.4
		-netdev user,id=net0 -device "e1000e,netdev=net0,addr=$HW_C_NIC_SLOT,mac=$HW_C_MAC,romfile="
		-chardev "pipe,id=com1,path=$work/com1" -serial chardev:com1 -serial "file:$work/outside"
		-chardev "pipe,id=monitor,path=$work/monitor" -mon monitor,mode=readline)
}

start_server() {
	local port

	copy_disks "$1" && make_medium || return
	compose_server
	for port in com1 monitor; do
		rm -f "$work/$port.in" "$work/$port.out"
		mkfifo "$work/$port.in" "$work/$port.out"
	done
	: >"$work/console"
	setpriv --pdeathsig KILL -- cat "$work/com1.out" >>"$work/console" &
	setpriv --pdeathsig KILL -- cat "$work/monitor.out" >/dev/null &
	setpriv --pdeathsig KILL -- qemu-system-x86_64 "${qemu_args[@]}" >"$work/qemu.log" 2>&1 </dev/null &
	server_pid=$!
	console_wait $server_time $server_pid 'login: *$' "$(paste -sd'|' <<<"$CONSOLE_FAILURES")" "$work/console" ||
		{ echo "$console_answer" && console_text "$work/console" | tail -n 20 && return 1; }
	console_login "$work/com1" "$work/console" $server_pid p2v-sample && in_server '
		mount -o ro /dev/sr0 /mnt && cp /mnt/p2v-agent /mnt/guest-load /usr/local/sbin && cp /mnt/key /root && umount /mnt'
}

in_server() {
	console_run "$work/com1" "$work/console" $server_pid $server_time "$1"
}

# soon_in_server TEXT: it succeeds there before time is up; asked seldom, for the server has little time to answer.
soon_in_server() {
	local end=$((SECONDS + 4 * server_time))

	until in_server "$1"; do
		kill -0 "$server_pid" && [ $SECONDS -lt $end ] || return
		sleep 5
	done
}

switch_off() {
	kill -0 "$server_pid" 2>/dev/null || return 0 # nobody would read the order
	echo quit >"$work/monitor.in"
	wait "$server_pid" || true
	server_pid=''
}

end_server() {
	[ -z "$server_pid" ] || kill -KILL "$server_pid" 2>/dev/null || true
	wait "$server_pid" 2>/dev/null || true
	server_pid=''
}
cleanup_commands+=(end_server)

# said PATTERN: the load did.
said() {
	grep -qE -e "$1" "$work/outside"
}

# last_said WORD: the number behind the last whole line with it.
last_said() {
	tr -d '\r' <"$work/outside" | sed -n "s/^$1 \([0-9]*\)$/\1/p" | tail -n 1
}
