/*
 * gdb.c - ttd replay --gdb: goes to the place that was asked for, and then starts a
 * gdb that is attached and knows the kernel's symbols, or waits for one on a port.
 */
#include <ttd/ttd.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cmd/ttd/gdb.h"
#include "util/parse.h"

/* What the started gdb reads first.  Its caches do not know that 'monitor seek' moves. */
static const char script[] =
	"define hookpost-monitor\n"
	"maintenance flush register-cache\n"
	"end\n";

struct run {
	const struct gdb_options *o;
	struct diag *diag;
	struct ttd_session *s;
	struct ttd_gdb *g;
	char dir[64], socket[96], script[96], symbols[96];
};

static int failed(const struct run *r, const struct ttd_error *e)
{
	diag_print(r->diag, DIAG_ERROR, "%s", e->text);
	return (int)e->status;
}

static int failed_errno(const struct run *r, const char *what)
{
	diag_print(r->diag, DIAG_ERROR, "%s: %s", what, strerror(errno));
	return ST_HOST;
}

/* Only a machine that has left its recording says anything new. */
static void console(void *ctx, const void *p, size_t n)
{
	struct run *r = ctx;

	if (r->g != NULL && ttd_gdb_live(r->g) && fwrite(p, 1, n, stdout) == n)
		fflush(stdout);
}

static void progress(void *ctx, uint64_t icount, uint64_t total)
{
	struct run *r = ctx;

	diag_progress(r->diag, "replay", icount / 1000000, total / 1000000, "M instructions");
}

static int open_session(struct run *r)
{
	struct ttd_session_options so = TTD_SESSION_INIT;
	struct ttd_error e;

	so.trace = r->o->trace;
	so.no_checkpoints = r->o->no_checkpoints;
	so.console_out = console;
	so.console_ctx = r;
	if (r->diag->terminal && r->o->npositions != 0) {
		so.progress = progress;
		so.progress_ctx = r;
	}
	r->s = ttd_session_open(&so, &e);
	if (r->s == NULL)
		return failed(r, &e);
	for (unsigned i = 0; i < r->o->npositions; i++)
		if (ttd_session_seek(r->s, r->o->positions[i], &e) != 0)
			return failed(r, &e);
	diag_progress_end(r->diag);
	r->g = ttd_gdb_open(r->s, &e);
	return r->g != NULL ? ST_OK : failed(r, &e);
}

/* Serves one client after the other. */
static int serve(struct run *r, int listener, int wake)
{
	struct ttd_error e;

	for (;;) {
		switch (ttd_gdb_serve(r->g, listener, wake, &e)) {
		case TTD_GDB_DETACHED:
			continue;
		case TTD_GDB_KILLED:
		case TTD_GDB_WOKEN:
			return ST_OK;
		case TTD_GDB_FAILED:
			return failed(r, &e);
		}
	}
}

/* ---- a port ---- */

static int wake_pipe[2]; /* a signal handler has no context */

static void on_signal(int sig)
{
	unsigned char byte = (unsigned char)sig;
	int saved = errno;

	if (write(wake_pipe[1], &byte, 1) < 0)
		errno = saved;
}

static int run_port(struct run *r)
{
	struct sigaction sa = { .sa_handler = on_signal };
	struct ttd_error e;
	uint64_t port;
	unsigned chosen;
	unsigned char sig;
	int fd, status;

	if (parse_u64(r->o->port, 0, 65535, &port) != 0) {
		diag_print(r->diag, DIAG_ERROR, "replay: --gdb=%s: give a port from 0 (any) to 65535",
			r->o->port);
		return ST_USAGE;
	}
	chosen = (unsigned)port;
	fd = ttd_gdb_listen_port(&chosen, &e);
	if (fd < 0)
		return failed(r, &e);
	if (pipe2(wake_pipe, O_CLOEXEC | O_NONBLOCK) != 0)
		return failed_errno(r, "pipe");
	sigaction(SIGINT, &sa, NULL);
	sigaction(SIGTERM, &sa, NULL);
	diag_print(r->diag, DIAG_NOTE, "waiting for gdb: target remote localhost:%u", chosen);
	status = serve(r, fd, wake_pipe[0]);
	close(fd);
	return read(wake_pipe[0], &sig, 1) == 1 ? 128 + sig : status;
}

/* ---- a gdb of our own ---- */

/* Without them gdb does what it can. */
static void write_symbols(struct run *r)
{
	struct ttd_error e;
	struct ttd_view *view = ttd_view_open(ttd_session_vm(r->s), NULL, &e);

	snprintf(r->symbols, sizeof r->symbols, "%s/kernel", r->dir);
	if (view == NULL || ttd_view_write_symbols(view, r->symbols, &e) != 0) {
		diag_print(r->diag, DIAG_WARNING, "no symbols of the kernel: %s", e.text);
		r->symbols[0] = '\0';
	}
	ttd_view_close(view);
}

static int write_script(struct run *r)
{
	FILE *f = fopen(r->script, "w");

	if (f == NULL)
		return -1;
	fputs(script, f);
	if (r->symbols[0] != '\0')
		fprintf(f, "symbol-file %s\n", r->symbols);
	fprintf(f, "target remote %s\n", r->socket);
	return fclose(f);
}

static pid_t start_gdb(const struct run *r)
{
	const char *program = getenv("TTD_GDB");
	pid_t pid;

	if (program == NULL || *program == '\0')
		program = "gdb";
	signal(SIGINT, SIG_IGN); /* Ctrl-C is gdb's */
	pid = fork();
	if (pid != 0)
		return pid;
	signal(SIGINT, SIG_DFL);
	execlp(program, program, "-q", "-x", r->script, (char *)NULL);
	fprintf(stderr, "ttd: cannot start %s: %s; install gdb, or use --gdb=PORT\n", program,
		strerror(errno));
	_exit(127);
}

static int serve_child(struct run *r, int listener, pid_t pid)
{
	int wake = pidfd_open(pid, 0), status = ST_HOST, child = 0;

	if (wake < 0)
		kill(pid, SIGTERM);
	else
		status = serve(r, listener, wake);
	while (waitpid(pid, &child, 0) < 0 && errno == EINTR)
		;
	if (wake >= 0)
		close(wake);
	return WIFEXITED(child) && WEXITSTATUS(child) == 127 ? ST_HOST : status;
}

static int run_child(struct run *r)
{
	struct ttd_error e;
	int fd, status;
	pid_t pid;

	snprintf(r->dir, sizeof r->dir, "/tmp/ttd-gdb.XXXXXX");
	if (mkdtemp(r->dir) == NULL)
		return failed_errno(r, "cannot make a folder in /tmp");
	snprintf(r->socket, sizeof r->socket, "%s/socket", r->dir);
	snprintf(r->script, sizeof r->script, "%s/script", r->dir);
	write_symbols(r);
	fd = ttd_gdb_listen_path(r->socket, &e);
	if (fd < 0) {
		status = failed(r, &e);
	} else if (write_script(r) != 0 || (pid = start_gdb(r)) < 0) {
		status = failed_errno(r, "cannot start gdb");
	} else {
		status = serve_child(r, fd, pid);
	}
	if (fd >= 0)
		close(fd);
	unlink(r->socket);
	unlink(r->script);
	if (r->symbols[0] != '\0')
		unlink(r->symbols);
	rmdir(r->dir);
	return status;
}

int gdb_run(const struct gdb_options *o, struct diag *diag)
{
	struct run r = { .o = o, .diag = diag };
	int status = open_session(&r);

	if (status == ST_OK)
		status = o->port != NULL ? run_port(&r) : run_child(&r);
	ttd_gdb_close(r.g);
	ttd_session_close(r.s);
	return status;
}
