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
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "event/live.h"
#include "event/record.h"
#include "lib/disks.h"
#include "lib/net.h"
#include "lib/checkpoints.h"
#include "lib/sandbox.h"
#include "lib/sink.h"
#include "lib/trace.h"
#include "lib/version.h"
#include "lib/vm.h"

#define NS_PER_SEC UINT64_C(1000000000)

enum { ALL_WITNESSES = ((1 << LOG_TYPES) - 1) & ~1, INPUTS_ONLY = 1 << LOG_INPUT };

struct recording {
	struct ttd_record opt;
	struct log_meta meta;
	char dir[TTD_PATH_MAX]; /* the trace's folder; "": the log is all there is */
	struct sink *sink;
	bool deviced;          /* the sink is ttd-deviced */
	struct source *source; /* the domain's */
	/* Whom to hold while nobody writes; both under the lock. */
	pthread_mutex_t lock;
	struct ttd_vm *vm;
	bool held;
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

/* For the sink: any thread, also before there is a machine. */
static void sink_note(void *ctx, const char *line)
{
	note(ctx, line);
}

static void hold(void *ctx, bool on)
{
	struct recording *r = ctx;

	pthread_mutex_lock(&r->lock);
	r->held = on;
	if (r->vm != NULL)
		gate_hold(r->vm->gate, GATE_LOG, on);
	pthread_mutex_unlock(&r->lock);
}

static void have_vm(struct recording *r, struct ttd_vm *vm)
{
	pthread_mutex_lock(&r->lock);
	r->vm = vm;
	gate_hold(vm->gate, GATE_LOG, r->held);
	pthread_mutex_unlock(&r->lock);
}

static enum record_stall stalled(void *ctx, unsigned ms, int error)
{
	struct recording *r = ctx;
	char line[200];

	if (error == 0) {
		if (ms == 1000 && !r->deviced)
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
		(cfg->ramdisk != NULL && trace_file("ramdisk", cfg->ramdisk, &m->ramdisk, e)) ||
		net_text(cfg, m->vifs, sizeof m->vifs, e) != 0)
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
		.ring = sink_ring(r->sink), .witnesses = r->meta.witnesses, .interval = r->meta.interval,
		.stalled = stalled, .ctx = r,
	};
	struct live_params with_bulk = *live;
	struct source *inner;

	with_bulk.bulk = ring_bulk(p.ring);
	inner = live_create(&with_bulk, e);
	if (inner != NULL)
		r->source = record_create(inner, &p, e);
	return r->source;
}

static int open_trace(struct recording *r, struct err *e)
{
	struct sink_params p = {.meta = &r->meta, .force = r->opt.force != 0,
		.sync = r->opt.sync != 0, .fallback = r->opt.fallback != 0,
		.note = sink_note, .hold = hold, .ctx = r};
	char console[TTD_PATH_MAX], path[TTD_PATH_MAX];

	r->deviced = r->opt.trace == NULL && r->opt.deviced && sink_deviced_runs();
	if (r->deviced) {
		r->sink = sink_deviced(NULL, &p, e);
	} else {
		if (trace_create(r->opt.trace, r->meta.name, p.force, r->dir, path, e) != 0)
			return -1;
		r->sink = sink_local(path, &p, e);
		if (r->sink == NULL)
			rmdir(r->dir); /* unless it was there before */
	}
	if (r->sink == NULL)
		return -1;
	if (r->deviced)
		strcpy(r->dir, sink_dir(r->sink));
	if (r->dir[0] == '\0')
		return 0;
	if (trace_join(console, r->dir, "/console.txt", "", e) != 0)
		return -1;
	r->console = open(console, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	return 0;
}

/* META needs the disks' bases, and the overlays the log's place and session. */
static int open_all(struct recording *r, const struct ttd_config *cfg, struct disks **disks,
	struct err *e)
{
	if (disks_open(cfg->disks, cfg->ndisks, true, disks, e) != 0)
		return -1;
	disks_to_meta(*disks, &r->meta);
	if (fill_meta(r, cfg, e) != 0 || open_trace(r, e) != 0)
		return -1;
	return disks_overlays(*disks, sink_path(r->sink), sink_session(r->sink), r->opt.sync != 0,
		r->opt.force != 0, e);
}

/* Nothing came of it. */
static void discard(struct recording *r, struct disks *disks)
{
	if (r->sink != NULL) {
		disks_discard_overlays(&r->meta, sink_path(r->sink));
		if (r->dir[0] != '\0')
			trace_discard(r->dir, sink_path(r->sink));
	}
	disks_free(disks);
}

static uint32_t place(void *ctx, uint64_t icount)
{
	const struct recording *r = ctx;

	return record_complete(r->source) ? record_place(r->source, icount) : UINT32_MAX;
}

static void start_checkpoints(struct recording *r, struct ttd_vm *vm)
{
	struct checkpoints_params p = { .log = sink_path(r->sink), .how = &r->opt.checkpoints,
		.place = place, .note = sink_note, .ctx = r };

	checkpoints_id(&p.id, &r->meta, ring_session(sink_ring(r->sink)));
	checkpoints_start(vm, &p);
}

static struct ttd_vm *create(const struct ttd_config *cfg, const struct ttd_record *rec,
	struct err *e)
{
	struct recording *r = calloc(1, sizeof *r);
	struct ttd_config c = *cfg;
	struct vm_extra x = { .source = make_source, .source_ctx = r };
	struct ttd_vm *vm = NULL;

	if (r == NULL) {
		err_set(e, ST_HOST, "out of memory");
		return NULL;
	}
	pthread_mutex_init(&r->lock, NULL);
	r->console = -1;
	r->opt = *rec;
	r->console_out = cfg->console_out;
	r->console_ctx = cfg->console_ctx;
	c.console_out = console_tee;
	c.console_ctx = r;
	c.note = rec->note;
	c.note_ctx = rec->note_ctx;
	if (open_all(r, cfg, &x.disks, e) == 0) {
		vm = vm_create(&c, &x, e); /* has the disks now */
		x.disks = NULL;
	}
	if (vm == NULL) {
		discard(r, x.disks);
		recording_free(r);
		return NULL;
	}
	r->opt.trace = NULL; /* the caller's string */
	start_checkpoints(r, vm);
	vm->recording = r;
	vm->kind = "record";
	have_vm(r, vm);
	if (r->dir[0] != '\0')
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
	struct sink_result sum = {0};
	struct log_end end;
	struct err e = {0};
	int rc;

	checkpoints_finish(vm, res);
	domain_get_end(vm->domain, &end);
	sink_ending(r->sink);
	record_finish(r->source, &end, domain_end_detail(vm->domain));
	rc = sink_finish(r->sink, &sum, &e);
	res->outcome = rc == 0 && record_complete(r->source) ? TTD_RECORDED : TTD_RECORDED_PART;
	res->inputs = sum.inputs;
	res->witnesses = sum.witnesses;
	res->digests = sum.digests;
	snprintf(res->trace, sizeof res->trace, "%s",
		r->dir[0] != '\0' ? r->dir : sink_path(r->sink));
	snprintf(res->text, sizeof res->text, "%s", rc != 0 ? e.text : "");
	res->icount = end.icount;
	res->brctr = end.brctr;
	res->log_bytes = sum.bytes;
	return 0;
}

/* The log may come to us when its daemon dies, wherever it is. */
void recording_needs(const struct recording *r, struct sandbox *s)
{
	s->needs |= SANDBOX_WRITE | (r->opt.deviced ? SANDBOX_DAEMON : 0);
	sandbox_write(s, r->dir);
	sandbox_write(s, sink_path(r->sink));
}

void recording_stop(struct recording *r)
{
	if (r != NULL)
		sink_ending(r->sink);
}

void recording_free(struct recording *r)
{
	if (r == NULL)
		return;
	sink_free(r->sink); /* never finished: what is there is kept */
	pthread_mutex_destroy(&r->lock);
	if (r->console >= 0)
		close(r->console);
	free(r);
}
