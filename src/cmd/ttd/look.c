/*
 * look.c - going to a position of a trace and looking at the guest there.
 */
#include "cmd/ttd/look.h"

#include <stdio.h>
#include <string.h>

int look_failed(struct look *l, const struct ttd_error *e)
{
	diag_print(l->diag, DIAG_ERROR, "%s", e->text);
	return (int)e->status;
}

static void progress(void *ctx, uint64_t icount, uint64_t total)
{
	diag_progress(ctx, "seek", icount / 1000000, total / 1000000, "M instructions");
}

static void fill_in(const struct look *l, struct ttd_confinement *c, const char **inputs)
{
	c->flags = l->children ? TTD_CONFINE_CHILDREN : 0;
	c->inputs = inputs;
	for (unsigned i = 0; i < l->view_options.binaries; i++)
		inputs[c->ninputs++] = l->binary[i];
	if (l->view_options.symbols != NULL)
		inputs[c->ninputs++] = l->view_options.symbols;
	if (l->view_options.sysroot != NULL)
		inputs[c->ninputs++] = l->view_options.sysroot;
	c->outputs = &l->output;
	c->noutputs = l->output != NULL;
}

int look_parse(struct look *l, void *x, int argc, char **argv)
{
	int first, status = command_parse(l->cmd, l->diag, argc, argv, x, &first);

	return status != COMMAND_GO ? status
		: command_trace(l->cmd, l->diag, argc, argv, first, &l->trace);
}

int look_go(struct look *l)
{
	struct ttd_session_options opt = TTD_SESSION_INIT;
	struct ttd_confinement c = TTD_CONFINEMENT_INIT;
	const char *inputs[LOOK_BINARIES + 2];
	struct ttd_error e = TTD_ERROR_INIT;
	int rc;

	fill_in(l, &c, inputs);
	opt.confine = l->no_sandbox ? NULL : &c;
	opt.trace = l->trace;
	opt.files = files_get(&l->files);
	if (l->diag->terminal) {
		opt.progress = progress;
		opt.progress_ctx = l->diag;
	}
	l->session = ttd_session_open(&opt, &e);
	if (l->session == NULL)
		return look_failed(l, &e);
	rc = ttd_session_seek(l->session, l->at != NULL ? l->at : "end", &e);
	diag_progress_end(l->diag);
	if (rc != 0)
		return look_failed(l, &e);
	l->view_options.size = sizeof l->view_options;
	l->view_options.binary = l->binary;
	l->view = ttd_view_open(ttd_session_vm(l->session), &l->view_options, &e);
	return l->view != NULL ? TTD_OK : look_failed(l, &e);
}

void look_end(struct look *l)
{
	ttd_view_close(l->view);
	ttd_session_close(l->session);
	files_free(&l->files);
}
