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
	pid_t gdb;     /* becomes gdb when something is written to `go` */
	pid_t sweeper; /* removes the files when `alive` is closed */
	int go, alive;
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
	return r->s != NULL ? ST_OK : failed(r, &e);
}

/* Afterwards the recorded guest is where it was asked to be, and we are confined. */
static int go_there(struct run *r, const char *folder)
{
	struct ttd_error e;
	int status = open_session(r);

	if (status != ST_OK)
		return status;
	if (!r->o->no_sandbox && ttd_session_confine(r->s, 0, folder, &e) != 0)
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
	status = go_there(r, NULL);
	if (status == ST_OK) {
		sigaction(SIGINT, &sa, NULL);
		sigaction(SIGTERM, &sa, NULL);
		diag_print(r->diag, DIAG_NOTE, "waiting for gdb: target remote localhost:%u", chosen);
		status = serve(r, fd, wake_pipe[0]);
	}
	close(fd);
	return read(wake_pipe[0], &sig, 1) == 1 ? 128 + sig : status;
}

/* ---- a gdb of our own ---- */

/* Without them gdb does what it can. */
static bool write_symbols(struct run *r)
{
	bool ok = true;
	struct ttd_error e;
	struct ttd_view *view = ttd_view_open(ttd_session_vm(r->s), NULL, &e);

	if (view == NULL || ttd_view_write_symbols(view, r->symbols, &e) != 0) {
		diag_print(r->diag, DIAG_WARNING, "no symbols of the kernel: %s", e.text);
		ok = false;
	}
	ttd_view_close(view);
	return ok;
}

static int write_script(struct run *r, bool symbols)
{
	FILE *f = fopen(r->script, "w");

	if (f == NULL)
		return -1;
	fputs(script, f);
	if (symbols)
		fprintf(f, "symbol-file %s\n", r->symbols);
	fprintf(f, "target remote %s\n", r->socket);
	return fclose(f);
}

/*
 * What is confined starts no program and does not remove its own folder.  So two
 * children do, which are there before the guest's memory is and wait.
 */

/* A child, with the reading end of a pipe; we have the other.  0: we are it. */
static pid_t fork_waiting(int *fd)
{
	int fds[2];
	pid_t pid;

	if (pipe2(fds, O_CLOEXEC) != 0)
		return -1;
	pid = fork();
	*fd = fds[pid != 0];
	close(fds[pid == 0]);
	return pid;
}

static int fork_gdb(struct run *r)
{
	const char *program = getenv("TTD_GDB");
	char byte;

	if (program == NULL || *program == '\0')
		program = "gdb";
	r->gdb = fork_waiting(&r->go);
	if (r->gdb != 0)
		return r->gdb > 0 ? 0 : -1;
	if (read(r->go, &byte, 1) != 1)
		_exit(0); /* it did not come to that */
	execlp(program, program, "-q", "-x", r->script, (char *)NULL);
	fprintf(stderr, "ttd: cannot start %s: %s; install gdb, or use --gdb=PORT\n", program,
		strerror(errno));
	_exit(127);
}

/* Also after a kill. */
static int fork_sweeper(struct run *r)
{
	char byte;

	r->sweeper = fork_waiting(&r->alive);
	if (r->sweeper != 0)
		return r->sweeper > 0 ? 0 : -1;
	close(r->go);
	signal(SIGINT, SIG_IGN);
	signal(SIGTERM, SIG_IGN);
	while (read(r->alive, &byte, 1) < 0 && errno == EINTR)
		;
	unlink(r->socket);
	unlink(r->script);
	unlink(r->symbols);
	rmdir(r->dir);
	_exit(0);
}

static int wait_for(pid_t pid)
{
	int status = 0;

	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static int release_gdb(struct run *r)
{
	signal(SIGINT, SIG_IGN); /* Ctrl-C is gdb's */
	return write(r->go, "", 1) == 1 ? 0 : -1;
}

static int serve_gdb(struct run *r, int listener, int wake)
{
	int status = go_there(r, r->dir);

	if (status != ST_OK)
		return status;
	if (write_script(r, write_symbols(r)) != 0 || release_gdb(r) != 0)
		return failed_errno(r, "cannot start gdb");
	return serve(r, listener, wake);
}

static int serve_own(struct run *r)
{
	struct ttd_error e;
	int wake = pidfd_open(r->gdb, 0), fd, status;

	if (wake < 0)
		return failed_errno(r, "cannot start gdb");
	fd = ttd_gdb_listen_path(r->socket, &e);
	status = fd >= 0 ? serve_gdb(r, fd, wake) : failed(r, &e);
	if (fd >= 0)
		close(fd);
	close(wake);
	return status;
}

static int run_child(struct run *r)
{
	int status;

	snprintf(r->dir, sizeof r->dir, "/tmp/ttd-gdb.XXXXXX");
	if (mkdtemp(r->dir) == NULL)
		return failed_errno(r, "cannot make a folder in /tmp");
	snprintf(r->socket, sizeof r->socket, "%s/socket", r->dir);
	snprintf(r->script, sizeof r->script, "%s/script", r->dir);
	snprintf(r->symbols, sizeof r->symbols, "%s/kernel", r->dir);
	status = fork_gdb(r) == 0 && fork_sweeper(r) == 0 ? serve_own(r)
		: failed_errno(r, "cannot start gdb");
	if (r->gdb > 0) {
		close(r->go);
		if (wait_for(r->gdb) == 127)
			status = ST_HOST;
	}
	if (r->sweeper > 0) {
		close(r->alive);
		wait_for(r->sweeper);
	} else {
		rmdir(r->dir);
	}
	return status;
}

int gdb_run(const struct gdb_options *o, struct diag *diag)
{
	struct run r = { .o = o, .diag = diag };
	int status = o->port != NULL ? run_port(&r) : run_child(&r);

	ttd_gdb_close(r.g);
	ttd_session_close(r.s);
	return status;
}
