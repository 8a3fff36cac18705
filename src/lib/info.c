/*
 * info.c - what a trace says about itself.
 */
#include "lib/trace.h"

#include <stdio.h>
#include <string.h>

#include "lib/checkpoints.h"
#include "lib/vm.h"

static void hex(char *out, const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		snprintf(out + 2 * i, 3, "%02x", p[i]);
}

static void from_meta(struct ttd_trace_info *t, const struct log_meta *m)
{
	_Static_assert(sizeof t->domain == sizeof m->name && sizeof t->kernel ==
		sizeof m->kernel.path && sizeof t->cmdline == sizeof m->cmdline &&
		sizeof t->vifs == sizeof m->vifs, "same sizes");
	memcpy(t->domain, m->name, sizeof t->domain);
	memcpy(t->version, m->version, sizeof t->version);
	memcpy(t->vendor, m->vendor, sizeof t->vendor);
	memcpy(t->kernel, m->kernel.path, sizeof t->kernel);
	memcpy(t->ramdisk, m->ramdisk.path, sizeof t->ramdisk);
	memcpy(t->cmdline, m->cmdline, sizeof t->cmdline);
	memcpy(t->vifs, m->vifs, sizeof m->vifs);
	hex(t->kernel_digest, m->kernel.digest, sizeof m->kernel.digest);
	if (m->ramdisk.path[0] != '\0')
		hex(t->ramdisk_digest, m->ramdisk.digest, sizeof m->ramdisk.digest);
	t->memory_mb = (uint32_t)m->memory_mb;
	t->engine = m->engine;
	t->abi = m->abi;
	t->cpu = m->cpu;
	t->clock = (enum ttd_clock)m->clock;
	t->interval = m->interval;
}

static void from_tail(struct ttd_trace_info *t, const struct log_tail *tail)
{
	const struct log_end *end = &tail->end;

	t->icount = tail->icount;
	t->brctr = tail->brctr;
	t->torn = tail->torn;
	t->chunks = tail->chunks;
	t->complete = tail->complete;
	if (!tail->complete)
		return;
	t->icount = end->icount;
	t->brctr = end->brctr;
	t->end = (enum ttd_end)end->why;
	snprintf(t->end_text, sizeof t->end_text, "%.255s", end->text);
	t->memory_digest = end->memory;
	t->state_digest = end->state;
	t->inputs = end->count[LOG_INPUT];
	t->digests = end->count[LOG_DIGEST];
	t->witnesses = log_witnesses(end->count);
}

static int info(const char *trace, struct ttd_trace_info *t, struct err *e)
{
	struct log_reader *r;
	struct log_tail tail;
	const char *slash;

	memset(t, 0, sizeof *t);
	if (trace_find(trace, t->path, t->log, e) != 0)
		return -1;
	slash = strrchr(t->path, '/');
	snprintf(t->name, sizeof t->name, "%.255s", trace != NULL ? trace
		: slash != NULL ? slash + 1 : t->path);
	r = log_open(t->log, e);
	if (r == NULL)
		return -1;
	from_meta(t, log_meta(r));
	hex(t->session, log_session(r), LOG_SESSION);
	t->format = log_version(r);
	t->created_ns = log_created(r);
	t->log_bytes = log_size(r);
	log_tail(r, &tail, e);
	from_tail(t, &tail);
	checkpoints_info(t, log_meta(r), log_session(r));
	log_reader_close(r);
	return 0;
}

int ttd_trace_info(const char *trace, struct ttd_trace_info *t, struct ttd_error *err)
{
	struct err e;

	if (info(trace, t, &e) == 0)
		return 0;
	vm_error(err, &e);
	return -1;
}
