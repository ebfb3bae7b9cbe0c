# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=bash disable=SC2034,SC2054,SC2154
#
# Machines that start from the boot medium. To be sourced after e2e.sh.
#
# A "server" has 1 GiB of memory, two processors and nothing that the test does
# not name; disks are writable for it, so that a test sees whether anything wrote.
# shellcheck source-path=SCRIPTDIR disable=SC1091
. "$root/tests/lib/console.sh"

OVMF=/usr/share/OVMF
machine_pid=
# Where the serial port leads; whatever it is, what the machine says is to be in $work/console.
serial=(-serial "file:$work/console")
READY='p2v: ready [0-9.]+ s'

# firmware KIND: sets the QEMU arguments $firmware; variables are fresh each time.
firmware() {
	firmware=()
	case $1 in
	bios) ;;
	uefi)
		cp $OVMF/OVMF_VARS_4M.fd "$work/vars.fd"
		firmware=(-drive "if=pflash,unit=0,format=raw,readonly=on,file=$OVMF/OVMF_CODE_4M.fd")
		;;
	secure)
		cp $OVMF/OVMF_VARS_4M.ms.fd "$work/vars.fd"
		firmware=(-drive "if=pflash,unit=0,format=raw,readonly=on,file=$OVMF/OVMF_CODE_4M.secboot.fd"
			-global driver=cfi.pflash01,property=secure,value=on)
		;;
	esac
	[ "$1" = bios ] || firmware+=(-drive "if=pflash,unit=1,format=raw,file=$work/vars.fd")
}

# medium KIND ISO: sets the QEMU arguments $medium.
medium() {
	case $1 in
	cd) medium=(-drive "if=none,id=medium,media=cdrom,readonly=on,format=raw,file=$2"
		-device "ide-cd,drive=medium,bus=ide.2,bootindex=0") ;;
	usb) medium=(-device qemu-xhci -drive "if=none,id=medium,readonly=on,format=raw,file=$2"
		-device "usb-storage,drive=medium,bootindex=0") ;;
	esac
}

# sample_disks NAME: the disks of a sample server, each with a layer of its own for what the server
# would write: sets disks, layers and the QEMU arguments $drives, "disk0" and so on.
sample_disks() {
	local i

	mapfile -t disks < <("$root/tests/lib/make-sample" "$1")
	drives=() layers=()
	for i in "${!disks[@]}"; do
		layers[i]=$work/$1-layer$i
		qemu-img create -q -f qcow2 -F raw -b "${disks[i]}" "${layers[i]}"
		drives+=(-drive "if=none,id=disk$i,format=qcow2,file=${layers[i]}")
	done
}

# nothing_written: the layers hold nothing at all.
nothing_written() {
	local layer

	for layer in "${layers[@]}"; do
		qemu-img map --output=json "$layer" | jq -e 'all(.[]; .depth > 0)' || return
	done
}

# with_pipe NAME CHARDEV_OPTIONS...: makes $work/NAME.in, which leads into a QEMU character device "NAME", and
# empties what comes out; sets the QEMU arguments $pipe.
with_pipe() {
	local name=$1 options=$2

	rm -f "$work/$name.in" "$work/$name.out"
	mkfifo "$work/$name.in" "$work/$name.out"
	setpriv --pdeathsig KILL -- cat "$work/$name.out" >/dev/null &
	# shellcheck disable=SC2034 # for the script
	pipe=(-chardev "pipe,id=$name,path=$work/$name$options")
}

# start_machine ARGUMENT...: sets machine_pid.
start_machine() {
	: >"$work/console"
	setpriv --pdeathsig KILL -- qemu-system-x86_64 -nodefaults -no-user-config -no-reboot -display none \
		-accel "${P2V_TEST_ACCEL:-tcg}" -machine q35,smm=on -m 1024 -smp 2 -vga std \
		"${serial[@]}" "$@" >"$work/qemu.log" 2>&1 </dev/null &
	machine_pid=$!
}

stop_machine() {
	[ -z "$machine_pid" ] || kill -KILL "$machine_pid" 2>/dev/null || true
	wait "$machine_pid" 2>/dev/null || true
}
cleanup_commands+=(stop_machine)

# boots ARGUMENT...: the machine says that it is ready; it is then stopped.
boots() {
	local status=0

	start_machine "$@"
	console_wait $((${ISO_TIMEOUT:-300} * ${P2V_TEST_TIME_FACTOR:-1})) "$machine_pid" "$READY" \
		"$(paste -sd'|' <<<"$CONSOLE_FAILURES")" "$work/console" || status=1
	[ $status = 0 ] || { echo "$console_answer" && cat "$work/qemu.log"; }
	stop_machine
	console_text "$work/console" | tail -n 15
	return $status
}

# ends_itself SECONDS: the machine powers off in time.
ends_itself() {
	local end=$((SECONDS + $1 * ${P2V_TEST_TIME_FACTOR:-1}))

	while kill -0 "$machine_pid" 2>/dev/null; do
		[ $SECONDS -lt $end ] || { said . | tail -n 20 && return 1; }
		sleep 1
	done
}

# said PATTERN: the last machine did.
said() {
	console_text "$work/console" | grep -E -e "$1"
}
