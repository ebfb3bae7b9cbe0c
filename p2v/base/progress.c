/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "p2v/base/progress.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "p2v/base/cleanup.h"
#include "p2v/base/mem.h"
#include "p2v/base/run.h"

#define BAR_INTERVAL_NS 200000000ull
#define LINE_INTERVAL_NS 10000000000ull
#define JSON_INTERVAL_NS 1000000000ull /* another program shows it */
#define BAR_CELLS 30

struct progress {
	pthread_mutex_t lock;
	FILE *stream;
	enum progress_style style;
	const char *what;
	uint64_t total_bytes, done_bytes;
	uint64_t started_ns, drawn_ns;
};

struct progress *progress_create(FILE *stream, enum progress_style style, const char *what,
				 uint64_t total_bytes)
{
	struct progress *progress = xcalloc(1, sizeof *progress);

	if (style == PROGRESS_AUTO)
		style = isatty(fileno(stream)) ? PROGRESS_BAR : PROGRESS_LINES;
	pthread_mutex_init(&progress->lock, NULL);
	progress->stream = stream;
	progress->style = style;
	progress->what = what;
	progress->total_bytes = total_bytes;
	progress->started_ns = progress->drawn_ns = run_now_ns();
	return progress;
}

static void draw(struct progress *p, uint64_t now_ns)
{
	double seconds = (now_ns - p->started_ns) / 1e9;
	double rate = seconds > 0 ? p->done_bytes / seconds : 0;
	double part = p->total_bytes ? (double)p->done_bytes / p->total_bytes : 1;
	unsigned remaining = rate > 0 && p->total_bytes > p->done_bytes
				     ? (p->total_bytes - p->done_bytes) / rate + 0.5
				     : 0;
	char bar[BAR_CELLS + 1];

	p->drawn_ns = now_ns;
	switch (p->style) {
	case PROGRESS_BAR:
		memset(bar, ' ', BAR_CELLS);
		memset(bar, '#', part < 1 ? part * BAR_CELLS : BAR_CELLS);
		bar[BAR_CELLS] = '\0';
		fprintf(p->stream, "\r%s [%s] %3.0f %%  %.1f MiB/s  %u:%02u left ", p->what, bar, part * 100,
			rate / (1 << 20), remaining / 60, remaining % 60);
		break;
	case PROGRESS_LINES:
		fprintf(p->stream, "%s: %.0f %% (%.1f of %.1f MiB), %.1f MiB/s, %u:%02u left\n", p->what,
			part * 100, p->done_bytes / 1048576.0, p->total_bytes / 1048576.0, rate / (1 << 20),
			remaining / 60, remaining % 60);
		break;
	case PROGRESS_JSON:
		fprintf(p->stream,
			"{\"progress\":{\"what\":\"%s\",\"done_bytes\":%llu,\"total_bytes\":%llu,"
			"\"bytes_per_second\":%.0f,\"remaining_seconds\":%u}}\n",
			p->what, (unsigned long long)p->done_bytes, (unsigned long long)p->total_bytes, rate,
			remaining);
		break;
	case PROGRESS_NONE:
	case PROGRESS_AUTO:
		break;
	}
	fflush(p->stream);
}

void progress_add(struct progress *progress, uint64_t bytes)
{
	uint64_t interval_ns, now_ns = run_now_ns();

	if (!progress)
		return;
	LOCKED(&progress->lock);
	progress->done_bytes += bytes;
	interval_ns = progress->style == PROGRESS_BAR	 ? BAR_INTERVAL_NS
		      : progress->style == PROGRESS_JSON ? JSON_INTERVAL_NS
							 : LINE_INTERVAL_NS;
	if (now_ns - progress->drawn_ns >= interval_ns)
		draw(progress, now_ns);
}

void progress_set_total(struct progress *progress, uint64_t total_bytes)
{
	if (!progress)
		return;
	LOCKED(&progress->lock);
	progress->total_bytes = total_bytes;
}

void progress_destroy(struct progress *progress)
{
	if (!progress)
		return;
	/* Nothing was to be done, or it never came to that. */
	if (progress->total_bytes || progress->done_bytes)
		draw(progress, run_now_ns());
	if (progress->style == PROGRESS_BAR && (progress->total_bytes || progress->done_bytes))
		fputc('\n', progress->stream);
	pthread_mutex_destroy(&progress->lock);
	free(progress);
}
