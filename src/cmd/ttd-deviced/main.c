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

#include "util/diag.h"

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
	"      --sync                   every write waits for the disk\n"
	"      --daemon                 go to the background once it listens\n"
	"  -q, --quiet                  say nothing but errors\n"
	"  -h, --help                   this text\n"
	"  -V, --version                the version\n"
	"\n"
	"examples:\n"
	"  ttd-deviced -f ./ttd.log.debian &\n"
	"  ttd create debian.cfg time_travel=\"ttd_flag=1\" -c\n";

enum { OPT_FORCE = 0x100, OPT_SYNC, OPT_DAEMON };

static const struct option options[] = {
	{"file", required_argument, NULL, 'f'},
	{"directory", required_argument, NULL, 'd'},
	{"force", no_argument, NULL, OPT_FORCE},
	{"sync", no_argument, NULL, OPT_SYNC},
	{"daemon", no_argument, NULL, OPT_DAEMON},
	{"quiet", no_argument, NULL, 'q'},
	{"help", no_argument, NULL, 'h'},
	{"version", no_argument, NULL, 'V'},
	{NULL, 0, NULL, 0},
};

struct settings {
	struct ttd_deviced_options opt;
	bool background, quiet;
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
		case OPT_DAEMON: s->background = true; break;
		case 'q': s->quiet = true; break;
		case 'h': fputs(usage, stdout); return ST_OK;
		case 'V': printf("ttd-deviced %s\n", ttd_version()); return ST_OK;
		default:
			diag_print(diag, DIAG_ERROR, id == ':' ? "option '%s' needs a value; see "
				"ttd-deviced --help" : "unknown option '%s'; see ttd-deviced --help",
				argv[optind - 1]);
			return ST_USAGE;
		}
	}
	if (optind < argc) {
		diag_print(diag, DIAG_ERROR, "'%s' is not an option; see ttd-deviced --help",
			argv[optind]);
		return ST_USAGE;
	}
	if ((s->opt.log != NULL) == (s->opt.dir != NULL)) {
		diag_print(diag, DIAG_ERROR, "give either -f LOG or -d DIR; see ttd-deviced --help");
		return ST_USAGE;
	}
	if (s->opt.dir != NULL && s->opt.force) {
		diag_print(diag, DIAG_ERROR, "--force is for -f; in a folder nothing is replaced");
		return ST_USAGE;
	}
	return -1;
}

/* The parent leaves with the child's first word: its exit status. */
static int to_background(int *ready, struct diag *diag)
{
	unsigned char status = ST_HOST;
	int fds[2];
	pid_t pid;

	if (pipe(fds) != 0 || (pid = fork()) < 0) {
		diag_print(diag, DIAG_ERROR, "cannot start a process: %s", strerror(errno));
		return ST_HOST;
	}
	if (pid > 0) {
		close(fds[1]);
		if (read(fds[0], &status, 1) != 1)
			status = ST_HOST;
		return status;
	}
	close(fds[0]);
	fcntl(fds[1], F_SETFD, FD_CLOEXEC);
	setsid();
	*ready = fds[1];
	return -1;
}

static void tell_parent(int ready, unsigned char status)
{
	int null;

	if (ready < 0)
		return;
	if (status == ST_OK && (null = open("/dev/null", O_RDWR | O_CLOEXEC)) >= 0) {
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

static int serve(struct settings *s, struct diag *diag, int ready)
{
	struct ender e;
	struct ttd_error te;
	pthread_t thread;
	int rc;

	sigemptyset(&e.set);
	sigaddset(&e.set, SIGTERM);
	sigaddset(&e.set, SIGINT);
	sigaddset(&e.set, SIGHUP);
	pthread_sigmask(SIG_BLOCK, &e.set, NULL);
	e.daemon = ttd_deviced_create(&s->opt, &te);
	if (e.daemon == NULL) {
		diag_print(diag, DIAG_ERROR, "%s", te.text);
		tell_parent(ready, (unsigned char)te.status);
		return (int)te.status;
	}
	rc = pthread_create(&thread, NULL, wait_signal, &e);
	if (rc != 0) {
		diag_print(diag, DIAG_ERROR, "cannot start a thread: %s", strerror(rc));
		ttd_deviced_destroy(e.daemon);
		tell_parent(ready, ST_HOST);
		return ST_HOST;
	}
	if (!s->quiet)
		diag_print(diag, DIAG_NOTE, "listening on %s", ttd_deviced_socket(e.daemon));
	tell_parent(ready, ST_OK);
	rc = ttd_deviced_run(e.daemon);
	if (rc == 0) {
		pthread_join(thread, NULL);
		if (!s->quiet)
			diag_print(diag, DIAG_NOTE, "ended; everything is written");
	}
	ttd_deviced_destroy(e.daemon);
	return rc == 0 ? ST_OK : ST_HOST;
}

int main(int argc, char **argv)
{
	struct settings s = {.opt = TTD_DEVICED_INIT};
	struct diag diag;
	int status, ready = -1;

	signal(SIGPIPE, SIG_IGN);
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
