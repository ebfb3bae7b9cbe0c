/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Findings go to the log, to a checker's callback, and the first fatal one into an error. */
#include "vhdx/findings.h"

#include "p2v/base/mem.h"

static void report(struct findings *findings, enum finding_level level, uint64_t file_offset,
		   const char *advice, const char *text)
{
	struct vhdx_finding finding = {
		.severity = level == FINDING_WARNING ? VHDX_WARNING : VHDX_ERROR,
		.file_offset = file_offset,
		.text = text,
	};

	if (level == FINDING_WARNING)
		findings->counts.warnings++;
	else
		findings->counts.errors++;
	if (findings->fn)
		findings->fn(findings->arg, &finding);
	if (level != FINDING_FATAL)
		log_warning(findings->log, "%s: %s", findings->name, text);
	else if (!findings->fatal)
		findings->fatal =
			err_advise(err_refused("%s: %s", findings->name, text), "%s",
				   advice ? advice
					  : "the file is damaged: copy it again from where it came from; "
					    "'p2v vhdx check' lists all that is wrong");
}

void findings_add(struct findings *findings, enum finding_level level, uint64_t file_offset,
		  const char *format, ...)
{
	CLEANUP_FREE char *text = NULL;
	va_list args;

	va_start(args, format);
	text = xvasprintf(format, args);
	va_end(args);
	report(findings, level, file_offset, NULL, text);
}

void findings_add_fatal(struct findings *findings, uint64_t file_offset, const char *advice,
			const char *format, ...)
{
	CLEANUP_FREE char *text = NULL;
	va_list args;

	va_start(args, format);
	text = xvasprintf(format, args);
	va_end(args);
	report(findings, FINDING_FATAL, file_offset, advice, text);
}

struct err *findings_take_error(struct findings *findings)
{
	return_ptr(findings->fatal);
}

void findings_deinit(struct findings *findings)
{
	err_free(findings->fatal);
	findings->fatal = NULL;
}
