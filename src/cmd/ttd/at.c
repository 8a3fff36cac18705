/*
 * at.c - a session that goes from position to position, one line for each.
 */
#include "cmd/ttd/at.h"

#include <ttd/ttd.h>

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <time.h>

#include "util/err.h"

struct at {
	const struct at_options *o;
	struct diag *diag;
	struct ttd_session *session;
	struct ttd_symbols *symbols;
	double seconds; /* the last seek took */
};

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void progress(void *ctx, uint64_t icount, uint64_t total)
{
	struct at *a = ctx;

	diag_progress(a->diag, "seek", icount / 1000000, total / 1000000, "M instructions");
}

static void symbol(const struct at *a, const struct ttd_place *p, char *text, size_t n)
{
	uint64_t offset = 0;
	const char *name = a->symbols != NULL && !p->user
		? ttd_symbols_find(a->symbols, p->rip, &offset) : NULL;

	text[0] = '\0';
	if (name != NULL && offset != 0)
		snprintf(text, n, "%s+0x%" PRIx64, name, offset);
	else if (name != NULL)
		snprintf(text, n, "%s", name);
}

static void print_json(struct at *a, const struct ttd_place *p, const char *name)
{
	uint64_t memory, state;

	printf("{\"icount\":%" PRIu64 ",\"moment\":%u,\"brctr\":%" PRIu64 ",\"rip\":\"0x%" PRIx64
		"\",\"rcx\":\"0x%" PRIx64 "\",\"mode\":\"%s\",\"guest_ns\":%" PRIu64 ",\"end\":%"
		PRIu64, p->icount, p->moment, p->brctr, p->rip, p->rcx, p->user ? "user" : "kernel",
		p->guest_ns, p->end);
	if (name[0] != '\0')
		printf(",\"symbol\":\"%s\"", name);
	if (a->o->digest) {
		ttd_session_digest(a->session, &memory, &state);
		printf(",\"memory\":\"%016" PRIx64 "\",\"state\":\"%016" PRIx64 "\"", memory, state);
	}
	printf(",\"seek_ms\":%.3f}\n", a->seconds * 1000);
}

static void print_text(struct at *a, const struct ttd_place *p, const char *name)
{
	uint64_t memory, state;

	printf("at %" PRIu64, p->icount);
	if (p->moment != 0)
		printf(".%u", p->moment);
	printf(" (%.4g%%): brctr:%" PRIu64 ", ip:0x%" PRIx64 "%s%s, %s mode, %.9f s\n",
		p->end != 0 ? 100.0 * (double)p->icount / (double)p->end : 100.0, p->brctr, p->rip,
		name[0] != '\0' ? " " : "", name, p->user ? "user" : "kernel",
		(double)p->guest_ns / 1e9);
	if (a->o->digest) {
		ttd_session_digest(a->session, &memory, &state);
		printf("  memory %016" PRIx64 ", state %016" PRIx64 "\n", memory, state);
	}
}

static int go_to(struct at *a, const char *position)
{
	struct ttd_error te;
	struct ttd_place p;
	char name[600];
	double start = now();
	int rc = ttd_session_seek(a->session, position, &te);

	a->seconds = now() - start;
	diag_progress_end(a->diag);
	if (rc != 0) {
		diag_print(a->diag, DIAG_ERROR, "%s", te.text);
		return te.status == TTD_OK ? 128 + SIGINT : (int)te.status;
	}
	ttd_session_place(a->session, &p);
	symbol(a, &p, name, sizeof name);
	if (a->o->json)
		print_json(a, &p, name);
	else
		print_text(a, &p, name);
	if (fflush(stdout) != 0) {
		diag_print(a->diag, DIAG_ERROR, "the output cannot be written");
		return ST_HOST;
	}
	return ST_OK;
}

int at_run(const struct at_options *o, struct diag *diag)
{
	struct ttd_session_options opt = TTD_SESSION_INIT;
	struct at a = {.o = o, .diag = diag};
	struct ttd_error te;
	struct ttd_log *log;
	int status = ST_OK;

	opt.trace = o->trace;
	opt.no_checkpoints = o->no_checkpoints;
	opt.bases = o->bases->disk;
	opt.nbases = o->bases->n;
	if (diag->terminal) {
		opt.progress = progress;
		opt.progress_ctx = &a;
	}
	a.session = ttd_session_open(&opt, &te);
	if (a.session == NULL) {
		diag_print(diag, DIAG_ERROR, "%s", te.text);
		return (int)te.status;
	}
	log = ttd_log_open(o->trace, TTD_LOG_RECORDING, NULL);
	if (log != NULL)
		a.symbols = ttd_log_symbols(log, NULL);
	if (!o->no_sandbox && ttd_session_confine(a.session, 0, NULL, &te) != 0) {
		diag_print(diag, DIAG_ERROR, "%s", te.text);
		status = (int)te.status;
	}
	for (unsigned i = 0; i < o->n && status == ST_OK; i++)
		status = go_to(&a, o->positions[i]);
	ttd_symbols_free(a.symbols);
	ttd_log_close(log);
	ttd_session_close(a.session);
	return status;
}
