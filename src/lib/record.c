/*
 * record.c - recording: trace folder, log, ring, and the thread that writes.
 *
 * A recorder (event/record.h) is put around the domain's live source.  The
 * console's output is kept as plain text beside the log: a replay makes it
 * again, but people want to grep it.
 */
#include <cpuid.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "event/drain.h"
#include "event/live.h"
#include "event/record.h"
#include "lib/trace.h"
#include "lib/version.h"
#include "lib/vm.h"

#define NS_PER_SEC UINT64_C(1000000000)

enum { ALL_WITNESSES = ((1 << LOG_TYPES) - 1) & ~1, INPUTS_ONLY = 1 << LOG_INPUT };

struct recording {
	struct ttd_record opt;
	struct log_meta meta;
	char dir[TTD_PATH_MAX], path[TTD_PATH_MAX];
	struct log_writer *log;
	struct ring *ring;
	struct drain_thread *drain;
	struct source *source; /* the domain's */
	int console;           /* of the trace; -1: cannot be written */
	void (*console_out)(void *ctx, const void *p, size_t n);
	void *console_ctx;
	bool told;             /* that the log cannot be written */
};

static void note(struct recording *r, const char *line)
{
	if (r->opt.note != NULL)
		r->opt.note(r->opt.note_ctx, line);
}

static enum record_stall stalled(void *ctx, unsigned ms, int error)
{
	struct recording *r = ctx;
	char line[200];

	if (error == 0) {
		if (ms == 1000)
			note(r, "waiting for the log to be written");
		return STALL_WAIT;
	}
	if (!r->told) {
		snprintf(line, sizeof line, "the log cannot be written: %s; %s", strerror(error),
			r->opt.on_full_stop ? "the guest is stopped"
			: "the guest goes on, but nothing after this will replay");
		note(r, line);
	}
	r->told = true;
	return r->opt.on_full_stop ? STALL_STOP : STALL_GO_ON;
}

/* A console text that cannot be written is no reason to end anything. */
static void console_tee(void *ctx, const void *p, size_t n)
{
	struct recording *r = ctx;

	if (r->console >= 0 && write(r->console, p, n) != (ssize_t)n) {
		close(r->console);
		r->console = -1;
	}
	if (r->console_out != NULL)
		r->console_out(r->console_ctx, p, n);
}

static void host_cpu(struct log_meta *m)
{
	unsigned a, b, c, d;

	if (__get_cpuid(0, &a, &b, &c, &d)) {
		memcpy(m->vendor, &b, 4);
		memcpy(m->vendor + 4, &d, 4);
		memcpy(m->vendor + 8, &c, 4);
	}
	if (__get_cpuid(1, &a, &b, &c, &d))
		m->cpu = a;
}

static int text(char *to, size_t n, const char *what, const char *from, struct err *e)
{
	if (from == NULL)
		from = "";
	if (strlen(from) >= n)
		return err_set(e, ST_USAGE, "the %s is too long", what);
	strcpy(to, from);
	return 0;
}

static int fill_meta(struct recording *r, const struct ttd_config *cfg, struct err *e)
{
	struct log_meta *m = &r->meta;

	if (text(m->name, sizeof m->name, "name", cfg->name != NULL ? cfg->name : "guest", e) ||
		text(m->version, sizeof m->version, "version", TTD_VERSION, e) ||
		text(m->cmdline, sizeof m->cmdline, "command line", cfg->cmdline, e) ||
		trace_file("kernel", cfg->kernel, &m->kernel, e) ||
		(cfg->ramdisk != NULL && trace_file("ramdisk", cfg->ramdisk, &m->ramdisk, e)))
		return -1;
	m->engine = ENGINE_VERSION;
	m->abi = ABI_VERSION;
	m->memory_mb = cfg->memory_mb;
	m->clock = (uint64_t)cfg->clock;
	m->tsc_mul = domain_tsc_mul();
	host_cpu(m);
	m->witnesses = r->opt.no_witnesses ? INPUTS_ONLY : ALL_WITNESSES;
	m->interval = r->opt.no_witnesses ? 0 : r->opt.interval != 0 ? r->opt.interval
		: RECORD_INTERVAL;
	m->stop_icount = cfg->stop_icount;
	return 0;
}

static struct source *make_source(void *ctx, const struct live_params *live, struct err *e)
{
	struct recording *r = ctx;
	struct record_params p = {
		.ring = r->ring, .witnesses = r->meta.witnesses, .interval = r->meta.interval,
		.stalled = stalled, .ctx = r,
	};
	struct source *inner = live_create(live, e);

	if (inner != NULL)
		r->source = record_create(inner, &p, e);
	return r->source;
}

static int open_trace(struct recording *r, struct err *e)
{
	struct log_create p = { .meta = &r->meta, .force = r->opt.force != 0,
		.sync = r->opt.sync != 0 };
	char console[TTD_PATH_MAX];

	if (trace_create(r->opt.trace, r->meta.name, p.force, r->dir, r->path, e) != 0)
		return -1;
	r->log = log_create(r->path, &p, e);
	if (r->log == NULL)
		return -1;
	if (trace_join(console, r->dir, "/console.txt", "", e) != 0)
		return -1;
	r->console = open(console, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	r->ring = ring_create(RING_SIZE, log_writer_session(r->log), e);
	if (r->ring == NULL)
		return -1;
	r->drain = drain_start(r->ring, r->log, 0, e);
	return r->drain != NULL ? 0 : -1;
}

static struct ttd_vm *create(const struct ttd_config *cfg, const struct ttd_record *rec,
	struct err *e)
{
	struct recording *r = calloc(1, sizeof *r);
	struct ttd_config c = *cfg;
	struct vm_extra x = { .source = make_source, .source_ctx = r };
	struct ttd_vm *vm;

	if (r == NULL) {
		err_set(e, ST_HOST, "out of memory");
		return NULL;
	}
	r->console = -1;
	r->opt = *rec;
	r->console_out = cfg->console_out;
	r->console_ctx = cfg->console_ctx;
	c.console_out = console_tee;
	c.console_ctx = r;
	if (fill_meta(r, cfg, e) != 0 || open_trace(r, e) != 0 ||
		(vm = vm_create(&c, &x, e)) == NULL) {
		if (r->log != NULL)
			trace_discard(r->dir, r->path);
		recording_free(r);
		return NULL;
	}
	r->opt.trace = NULL; /* the caller's string */
	vm->recording = r;
	trace_set_latest(r->dir);
	return vm;
}

struct ttd_vm *ttd_vm_create_recording(const struct ttd_config *cfg,
	const struct ttd_record *rec, struct ttd_error *err)
{
	struct ttd_vm *vm = NULL;
	struct err e;

	if (cfg->size != sizeof *cfg || rec->size != sizeof *rec)
		err_set(&e, ST_USAGE, "the configuration is not initialised; use TTD_CONFIG_INIT "
			"and TTD_RECORD_INIT");
	else if (cfg->kernel == NULL || *cfg->kernel == '\0')
		err_set(&e, ST_USAGE, "no kernel was given");
	else
		vm = create(cfg, rec, &e);
	if (vm == NULL)
		vm_error(err, &e);
	return vm;
}

int recording_finish(struct ttd_vm *vm, struct ttd_result *res)
{
	struct recording *r = vm->recording;
	struct log_writer_stats stats;
	struct log_end end;
	struct err e = {0};
	int rc;

	domain_get_end(vm->domain, &end);
	record_finish(r->source, &end);
	rc = drain_join(r->drain, &e);
	r->drain = NULL;
	res->outcome = rc == 0 && record_complete(r->source) ? TTD_RECORDED : TTD_RECORDED_PART;
	log_writer_stats(r->log, &stats);
	log_writer_counts(r->log, &res->inputs, &res->witnesses, &res->digests);
	snprintf(res->trace, sizeof res->trace, "%s", r->dir);
	snprintf(res->text, sizeof res->text, "%s", rc != 0 ? e.text : "");
	res->icount = end.icount;
	res->brctr = end.brctr;
	res->log_bytes = stats.file_bytes;
	return 0;
}

void recording_free(struct recording *r)
{
	struct err none;

	if (r == NULL)
		return;
	if (r->drain != NULL) { /* never finished: what is there is kept */
		ring_close(r->ring);
		drain_join(r->drain, &none);
	}
	log_writer_close(r->log);
	ring_free(r->ring);
	if (r->console >= 0)
		close(r->console);
	free(r);
}
