/*
 * info.c - what a trace says about itself.
 */
#include "trace/trace.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/checkpoints.h"
#include "lib/model.h"
#include "trace/packedlog.h"

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
	t->maxmem_mb = (uint32_t)(m->maxmem_mb != 0 ? m->maxmem_mb : m->memory_mb);
	t->strict_mmu = m->strict_mmu != 0;
	_Static_assert(sizeof t->restored == sizeof m->restored, "same sizes");
	memcpy(t->restored, m->restored, sizeof t->restored);
	model_text(m->isa, t->guest_cpu, sizeof t->guest_cpu);
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

static void from_log(struct ttd_trace_info *t, struct log_reader *r)
{
	struct log_tail tail;
	struct ttd_error none;

	from_meta(t, log_meta(r));
	hex(t->run_id, log_run_id(r), RUN_ID);
	t->format = log_version(r);
	t->created_ns = log_created(r);
	t->log_bytes = log_size(r);
	log_tail(r, &tail, &none);
	from_tail(t, &tail);
}

static int packed_info(struct ttd_trace_info *t, struct ttd_error *e)
{
	struct packed_log *l = malloc(sizeof *l);
	int rc = l != NULL ? packed_log_open(l, t->path, e) : err_set(e, TTD_HOST, "out of memory");

	if (rc == 0) {
		from_log(t, l->log);
		snprintf(t->log, sizeof t->log, "%.*s", TTD_PATH_MAX - 1, l->name);
		packed_log_close(l);
	}
	free(l);
	return rc;
}

static int info(const char *trace, struct ttd_trace_info *t, struct ttd_error *e)
{
	bool packed = trace_packed(trace, t->path);
	struct log_reader *r;
	const char *slash;

	if (!packed && trace_find(trace, t->path, t->log, e) != 0)
		return -1;
	slash = strrchr(t->path, '/');
	snprintf(t->name, sizeof t->name, "%.255s", trace != NULL ? trace
		: slash != NULL ? slash + 1 : t->path);
	if (packed)
		return packed_info(t, e);
	r = log_open(t->log, e);
	if (r == NULL)
		return -1;
	from_log(t, r);
	checkpoints_info(t, log_meta(r), log_run_id(r));
	log_reader_close(r);
	return 0;
}

int ttd_trace_info(const char *trace, struct ttd_trace_info *t, struct ttd_error *err)
{
	struct ttd_error spare, *e = err_begin(err, &spare);

	memset(t, 0, sizeof *t);
	return info(trace, t, e);
}
