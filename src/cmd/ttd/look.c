/*
 * look.c - going to a position of a trace and looking at the guest there.
 */
#include "cmd/ttd/look.h"

#include <stdio.h>
#include <string.h>

void look_option(struct look *l, int id, const char *value)
{
	switch (id) {
	case LOOK_AT: l->at = value; break;
	case LOOK_JSON: l->json = true; break;
	case LOOK_NO_SANDBOX: l->no_sandbox = true; break;
	case LOOK_SYMBOLS: l->view_options.symbols = value; break;
	}
}

int look_trace(struct look *l, int argc, char **argv, int first, struct err *e)
{
	if (argc - first > 1)
		return err_set(e, ST_USAGE, "%s: one trace at a time, not '%s' too", l->cmd->name,
			argv[first + 1]);
	if (first < argc)
		l->trace = argv[first];
	return 0;
}

int look_failed(struct look *l, const struct ttd_error *e)
{
	diag_print(l->diag, DIAG_ERROR, "%s", e->text);
	return (int)e->status;
}

static void progress(void *ctx, uint64_t icount, uint64_t total)
{
	diag_progress(ctx, "seek", icount / 1000000, total / 1000000, "M instructions");
}

static int confine(const struct look *l, struct ttd_error *e)
{
	unsigned flags = l->children ? TTD_CONFINE_CHILDREN : 0;
	char folder[4096];
	const char *slash = l->output != NULL ? strrchr(l->output, '/') : NULL;

	snprintf(folder, sizeof folder, "%.*s", slash != NULL ? (int)(slash - l->output) + 1 : 1,
		slash != NULL ? l->output : ".");
	return l->no_sandbox ? 0 : ttd_session_confine(l->session, flags,
		l->output != NULL ? folder : NULL, e);
}

int look_go(struct look *l)
{
	struct ttd_session_options opt = TTD_SESSION_INIT;
	struct ttd_error e;
	int rc;

	opt.trace = l->trace;
	if (l->diag->terminal) {
		opt.progress = progress;
		opt.progress_ctx = l->diag;
	}
	l->session = ttd_session_open(&opt, &e);
	if (l->session == NULL || confine(l, &e) != 0)
		return look_failed(l, &e);
	rc = ttd_session_seek(l->session, l->at != NULL ? l->at : "end", &e);
	diag_progress_end(l->diag);
	if (rc != 0)
		return look_failed(l, &e);
	l->view_options.size = sizeof l->view_options;
	l->view_options.binary = l->binary;
	l->view = ttd_view_open(ttd_session_vm(l->session), &l->view_options, &e);
	return l->view != NULL ? ST_OK : look_failed(l, &e);
}

void look_end(struct look *l)
{
	ttd_view_close(l->view);
	ttd_session_close(l->session);
}

void look_print(const char *s, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)s[i];

		if ((c < ' ' && c != '\t') || c >= 0x7f)
			printf("\\x%02x", c);
		else
			putchar(c);
	}
}
