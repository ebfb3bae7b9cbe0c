/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A PowerShell script that defines the VM on a Hyper-V host.
 *
 * All that depends on the machine stands in tables at the script's top, as
 * single-quoted literals and numbers; the code below them is always the same,
 * so no name can become code.  The script looks at everything that can be
 * looked at before it creates anything, works on the objects it made instead
 * of names (which Hyper-V's commands would take for wildcards), and removes
 * the half-made machine, never a disk, if a step fails.
 *
 * UTF-8 with a byte order mark and CRLF: Windows PowerShell 5.1 reads a file
 * without the mark in the code page of the system.
 */
#include "p2v/handover/handover.h"

#include <string.h>

#include "p2v/base/mem.h"

/* A literal: inside single quotes nothing but the quote is special, and PowerShell takes four
 * typographic ones (U+2018 to U+201B) for it too; doubled, each stands for itself
 * (about_Quoting_Rules; CodeGeneration.EscapeSingleQuotedStringContent). */
static void add_literal(struct text *text, const char *s)
{
	text_add(text, "'", 1);
	while (*s) {
		const unsigned char *u = (const unsigned char *)s;
		bool is_curly = u[0] == 0xe2 && u[1] == 0x80 && u[2] >= 0x98 && u[2] <= 0x9b;
		size_t bytes = is_curly ? 3 : 1;

		if (is_curly || *s == '\'')
			text_add(text, s, bytes);
		text_add(text, s, bytes);
		s += bytes;
	}
	text_add(text, "'", 1);
}

static void add(struct text *text, const char *s)
{
	text_add(text, s, strlen(s));
}

static void add_head(struct text *text, const struct vm *vm)
{
	CLEANUP_FREE char *file_name = xasprintf("%s.ps1", vm->file_name);

	add(text, "# Defines this machine on a Hyper-V host; written by p2v:\n#     ");
	add(text, vm->name);
	add(text,
	    "\n#\n"
	    "# Run it on the host, in a PowerShell of an administrator, in the folder of the VHDX files:\n"
	    "#     powershell -ExecutionPolicy Bypass -File ");
	add_literal(text, vm->file_name);
	add(text,
	    ".ps1 -SwitchName 'my switch'\n"
	    "# Parameters:\n"
	    "#     -Path        where the VHDX files are, if not beside this script\n"
	    "#     -SwitchName  virtual switch for every network adapter; without it they stay\n"
	    "#                  unconnected, and a first start cannot disturb the old server\n"
	    "#     -Name        another name for the machine\n"
	    "#\n"
	    "# It makes one machine, which is not started, and changes no VHDX. If a machine of that name\n"
	    "# exists, it stops.\n"
	    "#\n"
	    "# Check before the first start with a network:\n"
	    "# - The old server is off, or unplugged: the machine has its addresses and MAC addresses.\n"
	    "# - The VHDX files lie where they shall stay. Hyper-V does not open sparse files; if one was\n"
	    "#   made sparse on its way here: fsutil sparse setflag FILE 0\n"
	    "# - A guest that bridges its network adapters (containers, virtual machines of its own) needs\n"
	    "#   Set-VMNetworkAdapter -MacAddressSpoofing On.\n");
	for (size_t i = 0; i < vm->notes.count; i++) {
		add(text, "# - ");
		add(text, vm->notes.items[i]);
		add(text, "\n");
	}
	add(text, "\n#Requires -Version 5.0\n#Requires -Modules Hyper-V\n#Requires -RunAsAdministrator\n\n"
		  "[CmdletBinding()]\nparam(\n"
		  "    [string]$Path = $PSScriptRoot,\n"
		  "    [string]$SwitchName = '',\n"
		  "    [string]$Name = ");
	add_literal(text, vm->name);
	add(text, "\n)\n\nSet-StrictMode -Version 2\n$ErrorActionPreference = 'Stop'\n\n");
}

static void add_tables(struct text *text, const struct vm *vm)
{
	unsigned scsi_controllers = 0;

	add(text, "# The boot disk first.\n$disks = @(\n");
	for (size_t i = 0; i < vm->disk_count; i++) {
		const struct vm_disk *disk = &vm->disks[i];
		bool is_scsi = disk->bus == VM_DISK_VMBUS_SCSI;

		add(text, "    @{ File = ");
		add_literal(text, disk->file);
		text_addf(text, "; Type = '%s'; Controller = %u; Location = %u }\n", is_scsi ? "SCSI" : "IDE",
			  disk->controller, disk->place);
		if (is_scsi && disk->controller >= scsi_controllers)
			scsi_controllers = disk->controller + 1;
	}
	add(text, ")\n# The MAC address is empty where Hyper-V shall make one up.\n$adapters = @(\n");
	for (size_t i = 0; i < vm->nic_count; i++) {
		const char *mac = vm->nics[i].mac;

		add(text, "    @{ Name = ");
		add_literal(text, vm->nics[i].name ? vm->nics[i].name : "Network Adapter");
		add(text, "; Mac = '");
		for (; mac && *mac; mac++)
			if (*mac != ':')
				text_add(text, mac, 1);
		add(text, "' }\n");
	}
	text_addf(text,
		  ")\n$generation = %d\n$processors = %u\n$memoryBytes = %llu\n$scsiControllers = %u\n"
		  "$secureBootTemplate = '%s'\n\n",
		  vm->firmware == FIRMWARE_UEFI ? 2 : 1, vm->processors, (unsigned long long)vm->memory_bytes,
		  scsi_controllers,
		  vm->secure_boot == VM_SECURE_BOOT_MICROSOFT_CA ? "MicrosoftUEFICertificateAuthority"
		  : vm->secure_boot == VM_SECURE_BOOT_WINDOWS	 ? "MicrosoftWindows"
								 : "");
}

static const char check_code[] =
	"# Everything that can stand against it, before anything is made.\n"
	"if (Get-VM | Where-Object { $_.Name -eq $Name }) {\n"
	"    throw \"A machine named '$Name' exists already: remove or rename it, or give another name with "
	"-Name.\"\n"
	"}\n"
	"$Path = (Resolve-Path -LiteralPath $Path).ProviderPath\n"
	"foreach ($disk in $disks) {\n"
	"    $disk.Path = [IO.Path]::Combine($Path, $disk.File)\n"
	"    if (-not (Test-Path -LiteralPath $disk.Path -PathType Leaf)) {\n"
	"        throw \"$($disk.Path) is not there: say where the VHDX files are with -Path.\"\n"
	"    }\n"
	"    $attributes = [IO.File]::GetAttributes($disk.Path)\n"
	"    if ($attributes -band [IO.FileAttributes]::SparseFile) {\n"
	"        throw \"$($disk.Path) is sparse, and Hyper-V would not open it. Run: fsutil sparse setflag "
	"`\"$($disk.Path)`\" 0\"\n"
	"    }\n"
	"    if ($attributes -band [IO.FileAttributes]::Compressed) {\n"
	"        throw \"$($disk.Path) is compressed, and Hyper-V would not open it. Run: compact /u "
	"`\"$($disk.Path)`\"\"\n"
	"    }\n"
	"    if ($attributes -band [IO.FileAttributes]::Encrypted) {\n"
	"        throw \"$($disk.Path) is encrypted, and Hyper-V would not open it. Run: cipher /d "
	"`\"$($disk.Path)`\"\"\n"
	"    }\n"
	"}\n"
	"$switch = $null\n"
	"if ($SwitchName) {\n"
	"    $switch = Get-VMSwitch | Where-Object { $_.Name -eq $SwitchName } | Select-Object -First 1\n"
	"    if (-not $switch) {\n"
	"        throw \"There is no virtual switch '$SwitchName' here. There are: $((Get-VMSwitch).Name "
	"-join ', "
	"')\"\n"
	"    }\n"
	"}\n"
	"$taken = @(Get-VM | Get-VMNetworkAdapter | ForEach-Object { $_.MacAddress })\n"
	"foreach ($adapter in $adapters) {\n"
	"    if ($adapter.Mac -and $taken -contains $adapter.Mac) {\n"
	"        Write-Warning \"Another machine on this host has the MAC address $($adapter.Mac): only one "
	"of "
	"the two can run.\"\n"
	"    }\n"
	"}\n"
	"$hostProcessors = (Get-VMHost).LogicalProcessorCount\n"
	"if ($processors -gt $hostProcessors) {\n"
	"    Write-Warning \"The old server has $processors processors, this host has $hostProcessors: the "
	"machine gets those.\"\n"
	"    $processors = $hostProcessors\n"
	"}\n\n";

static const char create_code[] =
	"$vm = New-VM -Name $Name -Generation $generation -MemoryStartupBytes $memoryBytes -NoVHD\n"
	"try {\n"
	"    Set-VMProcessor -VM $vm -Count $processors\n"
	"    Set-VMMemory -VM $vm -DynamicMemoryEnabled $false -StartupBytes $memoryBytes\n"
	"    while (@(Get-VMScsiController -VM $vm).Count -lt $scsiControllers) {\n"
	"        Add-VMScsiController -VM $vm\n"
	"    }\n"
	"    foreach ($disk in $disks) {\n"
	"        Add-VMHardDiskDrive -VM $vm -ControllerType $disk.Type -ControllerNumber $disk.Controller "
	"-ControllerLocation $disk.Location -Path $disk.Path\n"
	"    }\n"
	"    Get-VMNetworkAdapter -VM $vm | Remove-VMNetworkAdapter\n"
	"    foreach ($adapter in $adapters) {\n"
	"        $made = Add-VMNetworkAdapter -VM $vm -Name $adapter.Name -Passthru\n"
	"        if ($adapter.Mac) {\n"
	"            Set-VMNetworkAdapter -VMNetworkAdapter $made -StaticMacAddress $adapter.Mac\n"
	"        }\n"
	"        if ($switch) {\n"
	"            Connect-VMNetworkAdapter -VMNetworkAdapter $made -VMSwitch $switch\n"
	"        }\n"
	"    }\n"
	"    if ($generation -eq 2) {\n"
	"        $boot = Get-VMHardDiskDrive -VM $vm -ControllerType SCSI -ControllerNumber 0 "
	"-ControllerLocation 0\n"
	"        Set-VMFirmware -VM $vm -FirstBootDevice $boot\n"
	"        if ($secureBootTemplate) {\n"
	"            Set-VMFirmware -VM $vm -EnableSecureBoot On -SecureBootTemplate $secureBootTemplate\n"
	"        } else {\n"
	"            Set-VMFirmware -VM $vm -EnableSecureBoot Off\n"
	"        }\n"
	"    } else {\n"
	"        Set-VMBios -VM $vm -StartupOrder @('IDE', 'CD', 'LegacyNetworkAdapter', 'Floppy')\n"
	"    }\n"
	"    # All but the guest service interface, by identifier: the names are translated.\n"
	"    Get-VMIntegrationService -VM $vm |\n"
	"        Where-Object { -not $_.Enabled -and $_.Id -notlike '*6C09BB55-D683-4DA0-8931-C9BF705F6480' "
	"} |\n"
	"        Enable-VMIntegrationService\n"
	"    # Hosts before 2019 do not have this, and do not need it.\n"
	"    if ((Get-Command -Name Set-VM).Parameters.ContainsKey('AutomaticCheckpointsEnabled')) {\n"
	"        Set-VM -VM $vm -AutomaticCheckpointsEnabled $false\n"
	"    }\n"
	"    Set-VM -VM $vm -Notes 'Converted from a physical server by p2v.'\n"
	"} catch {\n"
	"    # The machine goes, its disks stay.\n"
	"    Remove-VM -VM $vm -Force\n"
	"    throw\n"
	"}\n"
	"$vm\n"
	"Write-Host \"Made. Start it with: Start-VM -Name '$Name'\"\n";

static struct err *format_hyperv(const struct vm *vm, struct text *ret_text)
{
	CLEANUP_TEXT struct text text = {0};
	const char *line, *end;

	add_head(&text, vm);
	add_tables(&text, vm);
	add(&text, check_code);
	add(&text, create_code);
	add(ret_text, "\xef\xbb\xbf");
	for (line = text.data; (end = strchr(line, '\n')); line = end + 1) {
		text_add(ret_text, line, end - line);
		add(ret_text, "\r\n");
	}
	return NULL;
}

const struct handover handover_hyperv = {
	.target = TARGET_HYPERV,
	.extension = ".ps1",
	.use = "run it in an administrator's PowerShell on the Hyper-V host, beside the VHDX files",
	.format = format_hyperv,
};
