/*
 * record.c - recording: trace folder, log, ring, and the thread that writes.
 *
 * A recorder (event/record.h) is put around the domain's live source.  The
 * console's output is kept as plain text beside the log: a replay makes it
 * again, but people want to grep it.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cpu/cpu.h"
#include "daemon/sink.h"
#include "event/live.h"
#include "event/record.h"
#include "lib/checkpoints.h"
#include "lib/disks.h"
#include "lib/net.h"
#include "lib/restored.h"
#include "lib/vm.h"
#include "sandbox/rights.h"
#include "trace/origin.h"
#include "trace/replace.h"
#include "trace/trace.h"
#include "util/names.h"
#include "util/options.h"
#include "util/regular.h"
#include "xen/domain.h"

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
	enum log_limit limit;  /* why it is to end, or ended */
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

static enum record_stall limited(void *ctx, unsigned why)
{
	struct recording *r = ctx;
	char line[200];

	r->limit = why <= LOG_GONE ? (enum log_limit)why : LOG_NO_LIMIT;
	if (r->opt.on_full_stop)
		return STALL_STOP; /* recording_finish() says why */
	snprintf(line, sizeof line, "%s; the guest goes on, but nothing after this will replay",
		log_limit_text(r->limit));
	note(r, line);
	return STALL_GO_ON;
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

static int text(char *to, size_t n, const char *what, const char *from, struct ttd_error *e)
{
	if (from == NULL)
		from = "";
	if (strlen(from) >= n)
		return err_set(e, TTD_USAGE, "the %s is too long", what);
	strcpy(to, from);
	return 0;
}

static int fill_meta(struct recording *r, const struct ttd_config *cfg, struct ttd_error *e)
{
	struct log_meta *m = &r->meta;
	struct model model;

	if (text(m->name, sizeof m->name, "name", cfg->name != NULL ? cfg->name : "guest", e) ||
		text(m->version, sizeof m->version, "version", TTD_VERSION, e) ||
		text(m->cmdline, sizeof m->cmdline, "command line", cfg->cmdline, e) ||
		trace_file("kernel", cfg->kernel, &m->kernel, e) ||
		(cfg->ramdisk != NULL && trace_file("ramdisk", cfg->ramdisk, &m->ramdisk, e)) ||
		net_text(cfg, m->vifs, sizeof m->vifs, e) != 0 ||
		(cfg->restored && restored_text(cfg->kernel, m->restored, e) != 0) ||
		model_config(&model, cfg, e) != 0)
		return -1;
	model_to_meta(&model, m);
	m->engine = ENGINE_VERSION;
	m->abi = ABI_VERSION;
	m->memory_mb = cfg->memory_mb;
	m->strict_mmu = cfg->strict_mmu != 0;
	m->maxmem_mb = cfg->maxmem_mb != cfg->memory_mb ? cfg->maxmem_mb : 0;
	m->clock = (uint64_t)cfg->clock;
	m->tsc_mul = domain_tsc_mul();
	cpu_host(m->vendor, &m->cpu);
	m->witnesses = r->opt.no_witnesses ? INPUTS_ONLY : ALL_WITNESSES;
	m->interval = r->opt.no_witnesses ? 0 : r->opt.interval != 0 ? r->opt.interval
		: RECORD_INTERVAL;
	m->stop_icount = cfg->stop_icount;
	origin_seal(m);
	return 0;
}

static struct source *make_source(void *ctx, const struct live_params *live, struct ttd_error *e)
{
	struct recording *r = ctx;
	struct record_params p = {
		.ring = sink_ring(r->sink), .witnesses = r->meta.witnesses, .interval = r->meta.interval,
		.stalled = stalled, .limited = limited, .ctx = r,
	};
	struct live_params with_bulk = *live;
	struct source *inner;

	with_bulk.bulk = ring_bulk(p.ring);
	inner = live_create(&with_bulk, e);
	if (inner != NULL)
		r->source = record_create(inner, &p, e);
	return r->source;
}

static int open_trace(struct recording *r, struct ttd_error *e)
{
	struct sink_params p = {.meta = &r->meta, .force = r->opt.force != 0,
		.sync = r->opt.sync != 0, .fallback = r->opt.fallback != 0, .limit = r->opt.log_limit,
		.note = sink_note, .hold = hold, .ctx = r};
	char console[TTD_PATH_MAX], path[TTD_PATH_MAX];

	r->deviced = r->opt.trace == NULL && r->opt.deviced && ttd_deviced_runs();
	if (r->deviced) {
		r->sink = sink_deviced(NULL, &p, e);
	} else {
		if (trace_create(r->opt.trace, r->meta.name, p.force, r->dir, path, e) != 0)
			return -1;
		r->sink = sink_local(path, &p, e);
	}
	if (r->sink == NULL)
		return -1;
	if (r->deviced)
		strcpy(r->dir, sink_dir(r->sink));
	if (r->dir[0] == '\0')
		return 0;
	if (path_join(console, r->dir, "/console.txt", "", e) != 0)
		return -1;
	r->console = regular_create(console, true);
	if (r->console >= 0 && ftruncate(r->console, 0) != 0) {
		close(r->console);
		r->console = -1;
	}
	return 0;
}

/*
 * What comes after the trace is begun (checkpoints, confining) needs descriptors, and a run
 * that fails there has replaced the old trace for nothing.
 */
static int have_descriptors(struct ttd_error *e)
{
	enum { SPARE = 24 };
	int fd[SPARE], n = 0, rc = 0;

	while (n < SPARE && (fd[n] = open("/", O_PATH | O_CLOEXEC)) >= 0)
		n++;
	if (n < SPARE)
		rc = err_set(e, TTD_HOST, "too few file descriptors (ulimit -n): %s", strerror(errno));
	while (n > 0)
		close(fd[--n]);
	return rc;
}

/* META needs the disks' bases, and the overlays the log's folder and run id. */
static int open_all(struct recording *r, const struct ttd_config *cfg, struct disks **disks,
	struct ttd_error *e)
{
	if (have_descriptors(e) != 0 || disks_open(cfg->disks, cfg->ndisks, true, disks, e) != 0)
		return -1;
	disks_to_meta(*disks, &r->meta);
	if (fill_meta(r, cfg, e) != 0 || open_trace(r, e) != 0)
		return -1;
	return disks_overlays(*disks, sink_path(r->sink), sink_run_id(r->sink), r->opt.sync != 0,
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

/* Last of all: it may take the descriptors that we had. */
static void give_back(struct recording *r)
{
	char dir[TTD_PATH_MAX];

	strcpy(dir, r->dir);
	recording_free(r);
	if (dir[0] != '\0') {
		trace_put_back(dir);
		names_rmdir(dir); /* unless it was there before */
	}
}

static uint32_t records_at(void *ctx, uint64_t icount)
{
	const struct recording *r = ctx;

	return record_complete(r->source) ? record_count_at(r->source, icount) : UINT32_MAX;
}

static void start_checkpoints(struct recording *r, struct ttd_vm *vm)
{
	struct checkpoints_params p = { .log = sink_path(r->sink), .how = &r->opt.checkpoints,
		.records_at = records_at, .note = sink_note, .ctx = r };

	checkpoints_id(&p.id, &r->meta, ring_run_id(sink_ring(r->sink)));
	checkpoints_start(vm, &p);
}

static struct ttd_vm *create(const struct ttd_config *cfg, const struct ttd_record *rec,
	struct ttd_error *e)
{
	struct recording *r = calloc(1, sizeof *r);
	struct ttd_config c = *cfg;
	struct vm_extra x = { .source = make_source, .source_ctx = r };
	struct ttd_vm *vm = NULL;

	if (r == NULL) {
		err_set(e, TTD_HOST, "out of memory");
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
		x.model.isa = r->meta.isa;
		memcpy(x.model.seed, r->meta.seed, sizeof x.model.seed);
		vm = vm_create(&c, &x, e); /* has the disks now */
		x.disks = NULL;
	}
	if (vm == NULL) {
		discard(r, x.disks);
		give_back(r);
		return NULL;
	}
	r->opt.trace = NULL; /* the caller's string */
	start_checkpoints(r, vm);
	vm->recording = r;
	vm->kind = "record";
	have_vm(r, vm);
	if (r->dir[0] != '\0') {
		trace_drop_aside(r->dir);
		trace_set_latest(r->dir);
	}
	return vm;
}

struct ttd_vm *ttd_vm_create_recording(const struct ttd_config *cfg,
	const struct ttd_record *rec, struct ttd_error *err)
{
	struct ttd_config config;
	struct ttd_record record;
	struct ttd_vm *vm = NULL;
	struct ttd_error spare, *e = err_begin(err, &spare);

	if (config_take(&config, cfg, e) == 0 &&
		OPTIONS_TAKE(&record, rec, log_limit, "TTD_RECORD_INIT", e) == 0) {
		if (config.kernel == NULL || *config.kernel == '\0')
			err_set(e, TTD_USAGE, "no kernel was given");
		else
			vm = create(&config, &record, e);
	}
	return vm;
}

int recording_finish(struct ttd_vm *vm, struct ttd_result *res)
{
	struct recording *r = vm->recording;
	struct sink_result sum = {0};
	struct log_end end;
	struct ttd_error e = TTD_ERROR_INIT;
	int rc;

	checkpoints_finish(vm, res);
	domain_get_end(vm->domain, &end);
	sink_ending(r->sink);
	record_finish(r->source, &end, domain_end_detail(vm->domain));
	rc = sink_finish(r->sink, &sum, &e);
	res->outcome = rc != 0 || !record_complete(r->source) ? TTD_RECORDED_PART
		: r->limit != LOG_NO_LIMIT && end.why == DOMAIN_STOPPED ? TTD_RECORDED_LIMIT
		: TTD_RECORDED;
	res->inputs = sum.inputs;
	res->witnesses = sum.witnesses;
	res->digests = sum.digests;
	snprintf(res->trace, sizeof res->trace, "%s",
		r->dir[0] != '\0' ? r->dir : sink_path(r->sink));
	snprintf(res->text, sizeof res->text, "%s", rc != 0 ? e.text
		: r->limit != LOG_NO_LIMIT ? log_limit_text(r->limit) : "");
	if (access(sink_path(r->sink), F_OK) != 0)
		res->trace[0] = '\0'; /* somebody removed it */
	res->icount = end.icount;
	res->brctr = end.brctr;
	res->log_bytes = sum.bytes;
	return 0;
}

/* The log may come to us when its daemon dies, wherever it is. */
void recording_rights(const struct recording *r, struct subject *s)
{
	s->role = ROLE_RECORD;
	s->when |= r->opt.deviced ? WHEN_DEVICED : 0u;
	rights_one(s, KEY_LOG, sink_path(r->sink));
	rights_one(s, KEY_RING, ring_file(sink_ring(r->sink)));
	rights_one(s, KEY_NAME, r->meta.name);
	if (r->deviced && r->dir[0] != '\0')
		rights_one(s, KEY_LOGS, r->dir);
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
