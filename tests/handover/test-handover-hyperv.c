/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The script for Hyper-V.  There is no PowerShell on Linux distributions, so it
 * is judged by its form: what is code does not depend on names, whatever they
 * are, and every value comes back from its literal as it was.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "p2v/base/mem.h"
#include "p2v/base/scratch.h"
#include "p2v/handover/handover.h"
#include "tests/base/lib-must.h"
#include "tests/handover/lib-machine.h"
#include "tests/handover/lib-powershell.h"

static char *format_script(const struct machine *machine, const struct vm_options *options)
{
	CLEANUP_TEXT struct text text = {0};
	CLEANUP_VM struct vm vm = {0};

	must(vm_derive(machine, TARGET_HYPERV, options, &vm));
	must(handover_find(TARGET_HYPERV)->format(&vm, &text));
	return text_take(&text);
}

static void lex_script(const char *script, struct powershell *ret_tokens)
{
	unsigned line;
	const char *wrong = powershell_lex(script, ret_tokens, &line);

	if (wrong)
		fail_msg("line %u: %s in\n%s", line, wrong, script);
}

/* The lexer itself: what it must refuse, so that the other tests mean something. */
static void test_lexer(void **state)
{
	static const struct {
		const char *script;
		bool is_wrong;
		const char *literal, *code;
	} cases[] = {
		{"$a = 'b' # it's", false, "b", "$a = '' "},
		{"'it''s'", false, "it's", "''"},
		{"'it\xe2\x80\x99\xe2\x80\x99s'", false, "it\xe2\x80\x99s", "''"},
		{"'it\xe2\x80\x99 s", false, "it", "'' s"},
		{"'it's'", true, NULL, NULL},
		{"\"$(Get-X 'a') `\" \"\" b\" + 1", false, "a", NULL},
		{"\"$(Get-X 'a\"", true, NULL, NULL},
		{"if (a { b ) }", true, NULL, NULL},
		{"if (a) { b ", true, NULL, NULL},
		{"a }", true, NULL, NULL},
		{"größe", true, NULL, NULL},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		CLEANUP_POWERSHELL struct powershell tokens = {0};
		unsigned line;
		const char *wrong = powershell_lex(cases[i].script, &tokens, &line);

		assert_int_equal(!!wrong, cases[i].is_wrong);
		if (cases[i].literal)
			assert_string_equal(tokens.literals.items[0], cases[i].literal);
		if (cases[i].code)
			assert_string_equal(tokens.code.data, cases[i].code);
	}
}

static void assert_has(const char *script, const char *text)
{
	if (!strstr(script, text))
		fail_msg("'%s' is missing in\n%s", text, script);
}

static void test_generations(void **state)
{
	static const struct {
		enum firmware firmware;
		bool is_signed;
		const char *texts[6];
	} cases[] = {
		{FIRMWARE_BIOS,
		 true,
		 {"$generation = 1\r\n", "Type = 'IDE'; Controller = 0; Location = 0",
		  "$secureBootTemplate = ''", "$scsiControllers = 0"}},
		{FIRMWARE_UEFI,
		 true,
		 {"$generation = 2\r\n", "Type = 'SCSI'; Controller = 0; Location = 0",
		  "$secureBootTemplate = 'MicrosoftUEFICertificateAuthority'", "$scsiControllers = 1"}},
		{FIRMWARE_UEFI, false, {"$generation = 2\r\n", "$secureBootTemplate = ''"}},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct vm_options options = {.has_signed_loader = cases[i].is_signed};
		CLEANUP_MACHINE struct machine machine;
		CLEANUP_POWERSHELL struct powershell tokens = {0};
		CLEANUP_FREE char *script = NULL;

		make_machine("web1", cases[i].firmware, &machine);
		script = format_script(&machine, &options);
		lex_script(script, &tokens);
		assert_memory_equal(script, "\xef\xbb\xbf#", 4);
		assert_has(script, "@{ Name = 'enp0s2'; Mac = '525400123456' }");
		assert_has(script, "$processors = 4\r\n$memoryBytes = 4294967296\r\n");
		for (size_t t = 0; cases[i].texts[t]; t++)
			assert_has(script, cases[i].texts[t]);
		for (const char *c = strchr(script, '\n'); c; c = strchr(c + 1, '\n'))
			assert_int_equal(c[-1], '\r');
	}
}

/* Names that would break out of a string or a comment, if they could. */
static const char *const hostile_names[] = {
	"plain",
	"it's",
	"''; Remove-VM *; '",
	"\xe2\x80\x99; Remove-VM *; \xe2\x80\x98",
	"\xe2\x80\x9a\xe2\x80\x9b'\xe2\x80\x99",
	"$(Remove-VM *)",
	"`$x \"y\" @{a} #> <# #",
	"a\r\nRemove-VM *",
	"[a-z]* %s %n \\",
	"größe 日本",
	"'",
};

static void test_names(void **state)
{
	CLEANUP_FREE char *plain_code = NULL;

	(void)state;
	for (size_t i = 0; i < sizeof hostile_names / sizeof *hostile_names; i++) {
		CLEANUP_MACHINE struct machine machine;
		CLEANUP_POWERSHELL struct powershell tokens = {0};
		CLEANUP_FREE char *script = NULL;
		CLEANUP_VM struct vm vm = {0};

		make_machine(hostile_names[i], FIRMWARE_UEFI, &machine);
		free(machine.nics->name);
		machine.nics->name = xstrdup(hostile_names[i]);
		free(machine.disks->file);
		machine.disks->file =
			xstrdup(strchr(hostile_names[i], '\n') ? "disk.vhdx" : hostile_names[i]);
		script = format_script(&machine, NULL);
		/* Block comments cannot begin inside our own, or in a string. */
		if (!strstr(hostile_names[i], "<#"))
			lex_script(script, &tokens);
		else
			continue;
		must(vm_derive(&machine, TARGET_HYPERV, NULL, &vm));
		assert_true(strv_has(&tokens.literals, vm.name));
		assert_true(strv_has(&tokens.literals, vm.nics->name));
		assert_true(strv_has(&tokens.literals, vm.disks->file));
		if (plain_code)
			assert_string_equal(tokens.code.data, plain_code);
		else
			plain_code = text_take(&tokens.code);
	}
}

static void test_written_whole(void **state)
{
	CLEANUP_MACHINE struct machine machine;
	CLEANUP_SCRATCH struct scratch *scratch = NULL;
	CLEANUP_STRV struct strv names = {0};
	CLEANUP_FREE char *path = NULL;
	CLEANUP_VM struct vm vm = {0};
	struct stat st;

	(void)state;
	must(scratch_create("/tmp", "p2v-test-handover", &scratch));
	make_machine("../web 1", FIRMWARE_BIOS, &machine);
	must(vm_derive(&machine, TARGET_HYPERV, NULL, &vm));
	must(handover_write(&vm, scratch_path(scratch), &names));
	must(handover_write(&vm, scratch_path(scratch), &names));
	assert_string_equal(names.items[0], "_._web 1.ps1");
	path = scratch_file(scratch, names.items[0]);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0644);
	must_fail_as(handover_write(&vm, "/nonexistent", &names), ERR_FAILED, "/nonexistent/_._web 1.ps1");
	vm.target = TARGET_XEN;
	must_refuse(handover_write(&vm, scratch_path(scratch), &names), "xen");
	assert_int_equal(names.count, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lexer),
		cmocka_unit_test(test_generations),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_written_whole),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
