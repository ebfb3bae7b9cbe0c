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

# start_machine ARGUMENT...: sets machine_pid; what its serial port says goes to $work/console.
start_machine() {
	: >"$work/console"
	setpriv --pdeathsig KILL -- qemu-system-x86_64 -nodefaults -no-user-config -no-reboot -display none \
		-accel "${P2V_TEST_ACCEL:-tcg}" -machine q35,smm=on -m 1024 -smp 2 -vga std \
		-serial "file:$work/console" "$@" >"$work/qemu.log" 2>&1 </dev/null &
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

# said PATTERN: the last machine did.
said() {
	console_text "$work/console" | grep -E -e "$1"
}
