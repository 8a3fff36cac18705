/*
 * at.c - a session that goes from position to position, one line for each.
 */
#include "cmd/ttd/at.h"

#include <ttd/ttd.h>

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>

#include "util/clock.h"
#include "util/err.h"
#include "util/json.h"
#include "util/text.h"

struct at {
	const struct at_options *o;
	struct diag *diag;
	struct ttd_session *session;
	struct ttd_symbols *symbols;
	double seconds; /* the last seek took */
};

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
	struct json j = {.to = stdout};
	uint64_t memory, state;

	json_open(&j, NULL, '{');
	json_unsigned(&j, "icount", p->icount);
	json_unsigned(&j, "moment", p->moment);
	json_unsigned(&j, "brctr", p->brctr);
	json_hex(&j, "rip", p->rip);
	json_hex(&j, "rcx", p->rcx);
	json_text(&j, "mode", p->user ? "user" : "kernel");
	json_unsigned(&j, "guest_ns", p->guest_ns);
	json_unsigned(&j, "end", p->end);
	if (name[0] != '\0')
		json_text(&j, "symbol", name);
	if (a->o->digest) {
		ttd_session_digest(a->session, &memory, &state);
		json_digest(&j, "memory", memory);
		json_digest(&j, "state", state);
	}
	json_ms(&j, "seek_ms", a->seconds * 1000);
	json_close(&j, '}');
	json_end(&j);
}

static void print_text(struct at *a, const struct ttd_place *p, const char *name)
{
	char shown[TEXT_ROOM(600)];
	uint64_t memory, state;

	printf("at %" PRIu64, p->icount);
	if (p->moment != 0)
		printf(".%u", p->moment);
	printf(" (%.4g%%): brctr:%" PRIu64 ", ip:0x%" PRIx64 "%s%s, %s mode, %.9f s\n",
		p->end != 0 ? 100.0 * (double)p->icount / (double)p->end : 100.0, p->brctr, p->rip,
		name[0] != '\0' ? " " : "", text_shown(shown, sizeof shown, name), p->user ? "user" : "kernel",
		(double)p->guest_ns / 1e9);
	if (a->o->digest) {
		ttd_session_digest(a->session, &memory, &state);
		printf("  memory %016" PRIx64 ", state %016" PRIx64 "\n", memory, state);
	}
}

static int go_to(struct at *a, const char *position)
{
	struct ttd_error te = TTD_ERROR_INIT;
	struct ttd_place p;
	char name[600];
	double start = clock_seconds();
	int rc = ttd_session_seek(a->session, position, &te);

	a->seconds = clock_seconds() - start;
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
		return TTD_HOST;
	}
	return TTD_OK;
}

int at_run(const struct at_options *o, struct diag *diag)
{
	const struct ttd_confinement none = TTD_CONFINEMENT_INIT;
	struct ttd_session_options opt = TTD_SESSION_INIT;
	struct at a = {.o = o, .diag = diag};
	struct ttd_error te = TTD_ERROR_INIT;
	int status = TTD_OK;

	opt.trace = o->trace;
	opt.confine = o->no_sandbox ? NULL : &none;
	opt.no_checkpoints = o->no_checkpoints;
	opt.files = o->files;
	if (diag->terminal) {
		opt.progress = progress;
		opt.progress_ctx = &a;
	}
	a.session = ttd_session_open(&opt, &te);
	if (a.session == NULL) {
		diag_print(diag, DIAG_ERROR, "%s", te.text);
		return (int)te.status;
	}
	a.symbols = ttd_session_symbols(a.session, NULL);
	for (unsigned i = 0; i < o->n && status == TTD_OK; i++)
		status = go_to(&a, o->positions[i]);
	ttd_symbols_free(a.symbols);
	ttd_session_close(a.session);
	return status;
}
