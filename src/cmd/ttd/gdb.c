/*
 * gdb.c - ttd replay --gdb: goes to the place that was asked for, and then starts a
 * gdb that is attached and knows the kernel's symbols, or waits for one on a port or
 * a socket in the file system.
 */
#include <ttd/ttd.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cmd/ttd/gdb.h"
#include "cmd/ttd/relay.h"
#include "util/child.h"
#include "util/parse.h"
#include "util/start.h"

/*
 * What the started gdb reads first.  Its caches do not know that 'monitor seek' moves.  A core
 * file is made from /proc of a process, which a machine has none of: gdb would not say so.
 */
#define NO_CORE "printf \"A core file is of a process; this is a whole machine.  'ttd mem' and " \
	"'ttd maps'\\nshow memory of any of its processes, at any place (--at).\\n\"\n"
static const char script[] =
	"set confirm off\n" /* about redefining commands */
	"define gcore\n" NO_CORE "end\n"
	"define generate-core-file\n" NO_CORE "end\n"
	"set confirm on\n"
	"define hookpost-monitor\n"
	"maintenance flush register-cache\n"
	"end\n";

/* What the waiting child is told. */
enum { NO_SYMBOLS = 'n', SYMBOLS = 's' };

struct run {
	const struct gdb_options *o;
	struct diag *diag;
	struct ttd_session *s;
	struct ttd_gdb *g;
	char dir[64], socket[108], stub[96], script[96], symbols[96]; /* "": there is none */
	struct ttd_gdb_listener *front; /* what gdb connects to, the sweeper's: see relay.h */
	struct ttd_gdb_listener *back;  /* what the sweeper connects to: `stub` */
	pid_t gdb;     /* becomes gdb when something is written to `go` */
	pid_t sweeper; /* relays, and removes the files when `alive` is closed */
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
	return TTD_HOST;
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
	const char *files[] = {r->symbols};
	struct ttd_confinement c = TTD_CONFINEMENT_INIT;
	struct ttd_session_options so = TTD_SESSION_INIT;
	struct ttd_error e = TTD_ERROR_INIT;

	c.outputs = files;
	c.noutputs = r->symbols[0] != '\0'; /* the own gdb's */
	so.confine = r->o->no_sandbox ? NULL : &c;
	so.trace = r->o->trace;
	so.files = r->o->files;
	so.no_checkpoints = r->o->no_checkpoints;
	so.console_out = console;
	so.console_ctx = r;
	if (r->diag->terminal && r->o->npositions != 0) {
		so.progress = progress;
		so.progress_ctx = r;
	}
	r->s = ttd_session_open(&so, &e);
	return r->s != NULL ? TTD_OK : failed(r, &e);
}

/* Afterwards the recorded guest is where it was asked to be, and we are confined. */
static int go_there(struct run *r)
{
	struct ttd_error e = TTD_ERROR_INIT;
	int status = open_session(r);

	if (status != TTD_OK)
		return status;
	for (unsigned i = 0; i < r->o->npositions; i++)
		if (ttd_session_seek(r->s, r->o->positions[i], &e) != 0)
			return failed(r, &e);
	diag_progress_end(r->diag);
	r->g = ttd_gdb_open(r->s, &e);
	return r->g != NULL ? TTD_OK : failed(r, &e);
}

/* Serves one client after the other. */
static int serve(struct run *r, int wake)
{
	struct ttd_error e = TTD_ERROR_INIT;

	for (;;) {
		switch (ttd_gdb_serve(r->g, r->back, wake, &e)) {
		case TTD_GDB_DETACHED:
			continue;
		case TTD_GDB_KILLED:
		case TTD_GDB_WOKEN:
			return TTD_OK;
		case TTD_GDB_FAILED:
			return failed(r, &e);
		}
	}
}

/* ---- the sweeper: what is confined does not remove its own files ---- */

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

static void remove_file(const char *path)
{
	if (path[0] != '\0')
		unlink(path);
}

static void sweep(const struct run *r)
{
	char byte;

	while (read(r->alive, &byte, 1) < 0 && errno == EINTR)
		;
	remove_file(r->socket);
	remove_file(r->stub);
	remove_file(r->script);
	remove_file(r->symbols);
	rmdir(r->dir);
}

/* It is there before the guest's memory is, and does its work also after a kill. */
static int fork_sweeper(struct run *r)
{
	r->sweeper = fork_waiting(&r->alive);
	if (r->sweeper == 0) {
		ttd_gdb_unlisten(r->back);
		if (r->gdb > 0)
			close(r->go);
		signal(SIGINT, SIG_IGN);
		signal(SIGTERM, SIG_IGN);
		signal(SIGHUP, SIG_IGN); /* a terminal that closes must not leave the files */
		relay_serve(r->alive, r->front, r->stub);
		sweep(r);
		_exit(0);
	}
	ttd_gdb_unlisten(r->front);
	r->front = NULL;
	return r->sweeper > 0 ? 0 : -1;
}

static int wait_for(pid_t pid)
{
	int status = child_wait(pid);

	/* Whose ends are ignored here left no status. */
	return status < 0 ? 0 : WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void end_sweeper(struct run *r)
{
	if (r->sweeper <= 0)
		return;
	close(r->alive);
	wait_for(r->sweeper);
}

/* The folder of what is there for this run only, and the session's socket in it. */
static int make_folder(struct run *r)
{
	struct ttd_error e = TTD_ERROR_INIT;

	snprintf(r->dir, sizeof r->dir, "/tmp/ttd-gdb.XXXXXX");
	if (mkdtemp(r->dir) == NULL)
		return failed_errno(r, "cannot make a folder in /tmp");
	snprintf(r->stub, sizeof r->stub, "%s/stub", r->dir);
	r->back = ttd_gdb_listen_path(r->stub, &e);
	if (r->back != NULL)
		return TTD_OK;
	rmdir(r->dir);
	return failed(r, &e);
}

/* When there is no sweeper that does it. */
static void remove_folder(struct run *r)
{
	if (r->sweeper > 0)
		return;
	remove_file(r->socket);
	remove_file(r->stub);
	remove_file(r->script);
	rmdir(r->dir);
}

/* ---- a port, or a path ---- */

/* What ends the session, readable from a descriptor: no handler runs while a guest does. */
static int signals_open(void)
{
	struct sigaction sa;
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT); /* also when a script's & has it ignored: what else would end us? */
	sigaddset(&set, SIGTERM);
	if (sigaction(SIGHUP, NULL, &sa) == 0 && sa.sa_handler != SIG_IGN) /* nohup */
		sigaddset(&set, SIGHUP);
	if (pthread_sigmask(SIG_BLOCK, &set, NULL) != 0)
		return -1;
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

/* Where a gdb finds it: `name`. */
static int listen_at(struct run *r, char name[160])
{
	const char *where = r->o->where;
	struct ttd_error e = TTD_ERROR_INIT;
	unsigned chosen;
	uint64_t port;

	if (strchr(where, '/') != NULL) {
		r->front = ttd_gdb_listen_path(where, &e);
		if (r->front != NULL)
			snprintf(r->socket, sizeof r->socket, "%s", where);
		snprintf(name, 160, "%s", where);
	} else {
		if (parse_u64(where, 0, 65535, &port) != 0) {
			diag_print(r->diag, DIAG_ERROR, "replay: --gdb=%s: give a port from 0 (any) "
				"to 65535, or a path with a / in it", where);
			return TTD_USAGE;
		}
		chosen = (unsigned)port;
		r->front = ttd_gdb_listen_port(&chosen, &e);
		snprintf(name, 160, "localhost:%u", chosen);
	}
	return r->front != NULL ? TTD_OK : failed(r, &e);
}

static int serve_signals(struct run *r, const char *name)
{
	struct signalfd_siginfo si;
	int wake, status = go_there(r);

	if (status != TTD_OK)
		return status;
	wake = signals_open();
	if (wake < 0)
		return failed_errno(r, "signalfd");
	diag_print(r->diag, DIAG_NOTE, "waiting for gdb: target remote %s", name);
	status = serve(r, wake);
	if (read(wake, &si, sizeof si) == sizeof si)
		status = 128 + (int)si.ssi_signo;
	close(wake);
	return status;
}

static int run_listener(struct run *r)
{
	char name[160];
	int status = listen_at(r, name);

	if (status != TTD_OK)
		return status;
	status = make_folder(r);
	if (status == TTD_OK) {
		status = fork_sweeper(r) == 0 ? serve_signals(r, name)
			: failed_errno(r, "cannot start a process");
		end_sweeper(r);
		remove_folder(r);
	} else {
		remove_file(r->socket);
	}
	return status;
}

/* ---- a gdb of our own ---- */

/* Without them gdb does what it can. */
static bool write_symbols(struct run *r)
{
	bool ok = true;
	struct ttd_error e = TTD_ERROR_INIT;
	struct ttd_view *view = ttd_view_open(ttd_session_vm(r->s), NULL, &e);

	if (view == NULL || ttd_view_write_symbols(view, r->symbols, &e) != 0) {
		diag_print(r->diag, DIAG_WARNING, "no symbols of the kernel: %s", e.text);
		ok = false;
	}
	ttd_view_close(view);
	return ok;
}

/* Before a guest runs here: gdb does whatever it says. */
static int write_script(struct run *r)
{
	FILE *f = fopen(r->script, "wx");

	if (f == NULL)
		return -1;
	fputs(script, f);
	return fclose(f);
}

/* What is confined starts no program either: so a child waits to become gdb. */
static int fork_gdb(struct run *r)
{
	const char *program = getenv("TTD_GDB");
	char byte, symbols[140], target[140];

	if (program == NULL || *program == '\0')
		program = "gdb";
	r->gdb = fork_waiting(&r->go);
	if (r->gdb != 0)
		return r->gdb > 0 ? 0 : -1;
	if (read(r->go, &byte, 1) != 1)
		_exit(0); /* it did not come to that */
	snprintf(symbols, sizeof symbols, "%s%s", byte == SYMBOLS ? "symbol-file " : "echo",
		byte == SYMBOLS ? r->symbols : "");
	snprintf(target, sizeof target, "target remote %s", r->socket);
	program_before_exec();
	/* What the symbols' file would have gdb run is not ours. */
	execlp(program, program, "-q", "-x", r->script, "-ex", "set auto-load python-scripts off",
		"-ex", "set auto-load guile-scripts off", "-ex", "set auto-load gdb-scripts off", "-ex",
		symbols, "-ex", "set auto-load python-scripts on", "-ex", "set auto-load guile-scripts on",
		"-ex", "set auto-load gdb-scripts on", "-ex", target, (char *)NULL);
	fprintf(stderr, "ttd: cannot start %s: %s; install gdb, or use --gdb=PORT\n", program,
		strerror(errno));
	_exit(127);
}

static int release_gdb(struct run *r, bool symbols)
{
	char byte = symbols ? SYMBOLS : NO_SYMBOLS;

	signal(SIGINT, SIG_IGN); /* Ctrl-C is gdb's */
	return write(r->go, &byte, 1) == 1 ? 0 : -1;
}

static int serve_gdb(struct run *r, int wake)
{
	int status = go_there(r);

	if (status != TTD_OK)
		return status;
	if (release_gdb(r, write_symbols(r)) != 0)
		return failed_errno(r, "cannot start gdb");
	return serve(r, wake);
}

static int serve_own(struct run *r)
{
	int wake = pidfd_open(r->gdb, 0), status;

	if (wake < 0)
		return failed_errno(r, "cannot start gdb");
	status = serve_gdb(r, wake);
	close(wake);
	return status;
}

static int run_child(struct run *r)
{
	int status = make_folder(r);

	if (status != TTD_OK)
		return status;
	snprintf(r->socket, sizeof r->socket, "%s/socket", r->dir);
	snprintf(r->script, sizeof r->script, "%s/script", r->dir);
	snprintf(r->symbols, sizeof r->symbols, "%s/kernel", r->dir);
	r->front = ttd_gdb_listen_path(r->socket, NULL);
	status = r->front != NULL && write_script(r) == 0 && fork_gdb(r) == 0 &&
		fork_sweeper(r) == 0 ? serve_own(r) : failed_errno(r, "cannot start gdb");
	/* It may be connecting. */
	ttd_gdb_unlisten(r->back);
	r->back = NULL;
	if (r->gdb > 0) {
		close(r->go);
		if (wait_for(r->gdb) == 127)
			status = TTD_HOST;
	}
	end_sweeper(r);
	remove_folder(r);
	return status;
}

int gdb_run(const struct gdb_options *o, struct diag *diag)
{
	struct run r = { .o = o, .diag = diag };
	int status = o->where != NULL ? run_listener(&r) : run_child(&r);

	ttd_gdb_unlisten(r.front);
	ttd_gdb_unlisten(r.back);
	ttd_gdb_close(r.g);
	ttd_session_close(r.s);
	return status;
}
