/*
 * main.c - ttd-deviced: writes the logs of recording domains.
 *
 * The work is libttd's; here are options, messages and signals.
 */
#include <ttd/ttd.h>

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cmd/loglimit.h"
#include "util/diag.h"
#include "util/start.h"
#include "util/thread.h"

static const char usage[] =
	"usage: ttd-deviced -f LOG [OPTION]...\n"
	"       ttd-deviced -d DIR [OPTION]...\n"
	"\n"
	"Write the event logs of recording domains, and serve them to replays.\n"
	"\n"
	"options:\n"
	"  -f, --file LOG               one log: of one recording, or for replays of it\n"
	"  -d, --directory DIR          many: DIR/NAME-N/ttd.log.NAME\n"
	"      --force                  replace LOG when it exists\n"
	"      --log-limit SIZE|off     how long a log may become (default: to a nearly full disk)\n"
	"      --sync                   every write waits for the disk\n"
	"      --daemon                 go to the background once it listens\n"
	"      --no-sandbox             do not confine the process; for debugging ttd\n"
	"  -q, --quiet                  say nothing but errors\n"
	"  -h, --help                   this text\n"
	"  -V, --version                the version\n"
	"\n"
	"examples:\n"
	"  ttd-deviced -f ./ttd.log.debian &\n"
	"  ttd create debian.cfg time_travel=\"ttd_flag=1\" -c\n";

enum { OPT_FORCE = 0x100, OPT_SYNC, OPT_DAEMON, OPT_LOG_LIMIT, OPT_NO_SANDBOX };

static const struct option options[] = {
	{"file", required_argument, NULL, 'f'},
	{"directory", required_argument, NULL, 'd'},
	{"force", no_argument, NULL, OPT_FORCE},
	{"sync", no_argument, NULL, OPT_SYNC},
	{"log-limit", required_argument, NULL, OPT_LOG_LIMIT},
	{"daemon", no_argument, NULL, OPT_DAEMON},
	{"no-sandbox", no_argument, NULL, OPT_NO_SANDBOX},
	{"quiet", no_argument, NULL, 'q'},
	{"help", no_argument, NULL, 'h'},
	{"version", no_argument, NULL, 'V'},
	{NULL, 0, NULL, 0},
};

struct settings {
	struct ttd_deviced_options opt;
	bool background, quiet, no_sandbox;
};

static void note(void *ctx, const char *line)
{
	diag_print(ctx, DIAG_NOTE, "%s", line);
}

/* -1: go on; else leave with this status. */
static int read_options(struct settings *s, struct diag *diag, int argc, char **argv)
{
	int id;

	opterr = 0;
	while ((id = getopt_long(argc, argv, ":f:d:qhV", options, NULL)) != -1) {
		switch (id) {
		case 'f': s->opt.log = optarg; break;
		case 'd': s->opt.dir = optarg; break;
		case OPT_FORCE: s->opt.force = 1; break;
		case OPT_SYNC: s->opt.sync = 1; break;
		case OPT_LOG_LIMIT:
			if (parse_log_limit(optarg, &s->opt.log_limit) == 0)
				break;
			diag_print(diag, DIAG_ERROR, "--log-limit '%s': " LOG_LIMIT_HOW, optarg);
			return TTD_USAGE;
		case OPT_DAEMON: s->background = true; break;
		case OPT_NO_SANDBOX: s->no_sandbox = true; break;
		case 'q': s->quiet = true; break;
		case 'h': fputs(usage, stdout); return TTD_OK;
		case 'V': printf("ttd-deviced %s\n", ttd_version()); return TTD_OK;
		default:
			diag_print(diag, DIAG_ERROR, id == ':' ? "option '%s' needs a value; see "
				"ttd-deviced --help" : "unknown option '%s'; see ttd-deviced --help",
				argv[optind - 1]);
			return TTD_USAGE;
		}
	}
	if (optind < argc) {
		diag_print(diag, DIAG_ERROR, "'%s' is not an option; see ttd-deviced --help",
			argv[optind]);
		return TTD_USAGE;
	}
	if ((s->opt.log != NULL) == (s->opt.dir != NULL)) {
		diag_print(diag, DIAG_ERROR, "give either -f LOG or -d DIR; see ttd-deviced --help");
		return TTD_USAGE;
	}
	if (s->opt.dir != NULL && s->opt.force) {
		diag_print(diag, DIAG_ERROR, "--force is for -f; in a folder nothing is replaced");
		return TTD_USAGE;
	}
	return -1;
}

/* The parent leaves with the child's first word: its exit status. */
static int to_background(int *ready, struct diag *diag)
{
	unsigned char status = TTD_HOST;
	int fds[2];
	pid_t pid;

	if (pipe(fds) != 0 || (pid = fork()) < 0) {
		diag_print(diag, DIAG_ERROR, "cannot start a process: %s", strerror(errno));
		return TTD_HOST;
	}
	if (pid > 0) {
		close(fds[1]);
		if (read(fds[0], &status, 1) != 1)
			status = TTD_HOST;
		return status;
	}
	close(fds[0]);
	fcntl(fds[1], F_SETFD, FD_CLOEXEC);
	setsid();
	*ready = fds[1];
	return -1;
}

static void tell_parent(int ready, unsigned char status, int null)
{
	if (ready < 0)
		return;
	if (status == TTD_OK && null >= 0) {
		dup2(null, STDIN_FILENO);
		dup2(null, STDOUT_FILENO);
		dup2(null, STDERR_FILENO);
		close(null);
	}
	if (write(ready, &status, 1) != 1)
		return; /* nobody waits any more */
	close(ready);
}

/* Signals that end it are taken by one thread, so that no handler is needed. */
struct ender {
	struct ttd_deviced *daemon;
	sigset_t set;
};

static void *wait_signal(void *arg)
{
	struct ender *e = arg;
	int sig;

	while (sigwait(&e->set, &sig) != 0)
		;
	ttd_deviced_stop(e->daemon);
	return NULL;
}

static int run(struct settings *s, struct diag *diag, struct ender *e, int ready)
{
	/* Before anything is out of reach. */
	int null = ready >= 0 ? open("/dev/null", O_RDWR | O_CLOEXEC) : -1, rc;
	struct ttd_error te = TTD_ERROR_INIT;
	pthread_t thread;

	rc = thread_start(&thread, wait_signal, e);
	if (rc != 0) {
		diag_print(diag, DIAG_ERROR, "cannot start a thread: %s", strerror(rc));
		tell_parent(ready, TTD_HOST, -1);
		return TTD_HOST;
	}
	if (!s->no_sandbox && ttd_deviced_confine(e->daemon, &te) != 0) {
		diag_print(diag, DIAG_ERROR, "%s", te.text);
		tell_parent(ready, (unsigned char)te.status, -1);
		return (int)te.status;
	}
	if (!s->quiet)
		diag_print(diag, DIAG_NOTE, "listening on %s", ttd_deviced_socket(e->daemon));
	tell_parent(ready, TTD_OK, null);
	if (ttd_deviced_run(e->daemon) != 0)
		return TTD_HOST;
	pthread_join(thread, NULL);
	if (!s->quiet)
		diag_print(diag, DIAG_NOTE, "ended; everything is written");
	return TTD_OK;
}

static int serve(struct settings *s, struct diag *diag, int ready)
{
	struct ender e;
	struct ttd_error te = TTD_ERROR_INIT;
	int status;

	sigemptyset(&e.set);
	sigaddset(&e.set, SIGTERM);
	sigaddset(&e.set, SIGINT);
	sigaddset(&e.set, SIGHUP);
	sigaddset(&e.set, SIGXCPU);
	pthread_sigmask(SIG_BLOCK, &e.set, NULL);
	e.daemon = ttd_deviced_create(&s->opt, &te);
	if (e.daemon == NULL) {
		diag_print(diag, DIAG_ERROR, "%s", te.text);
		tell_parent(ready, (unsigned char)te.status, -1);
		return (int)te.status;
	}
	status = run(s, diag, &e, ready);
	ttd_deviced_destroy(e.daemon);
	return status;
}

int main(int argc, char **argv)
{
	struct settings s = {.opt = TTD_DEVICED_INIT};
	struct diag diag;
	int status, ready = -1;

	program_start(false);
	diag_init(&diag, stderr, "ttd-deviced");
	status = read_options(&s, &diag, argc, argv);
	if (status < 0 && s.background)
		status = to_background(&ready, &diag);
	if (status >= 0)
		return status;
	if (!s.quiet) {
		s.opt.note = note;
		s.opt.note_ctx = &diag;
	}
	return serve(&s, &diag, ready);
}
