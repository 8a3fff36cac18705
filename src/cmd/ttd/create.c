/*
 * create.c - ttd create: a domain from an xl/xm configuration file.
 *
 * The domain gets a process of its own, in the background.  This one waits
 * until it runs, or says why it cannot; with -c it then shows its console.
 */
#include <ttd/ttd.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cmd/config.h"
#include "cmd/ttd/attach.h"
#include "cmd/ttd/command.h"
#include "cmd/ttd/guest.h"

struct creating {
	struct guest_options o;
	bool console, dry;
};

static const struct option_row options[] = {
	{"console", NULL, "attach to the console", 'c', TAKE_BOOL(struct creating, console)},
	{"paused", NULL, "start it paused", 'p', TAKE_BOOL(struct creating, o.paused)},
	{"fallback", NULL, "when ttd-deviced dies, write the log without it",
		TAKE_BOOL(struct creating, o.fallback)},
	{"force", NULL, "replace the trace that time_travel's trace= names",
		TAKE_BOOL(struct creating, o.force)},
	FILES_ROWS(struct creating, o.files),
	{"dry-run", NULL, "only check the configuration", TAKE_BOOL(struct creating, dry)},
	{"no-sandbox", NULL, "do not confine the process; for debugging ttd",
		TAKE_BOOL(struct creating, o.no_sandbox)},
	OPTIONS_END,
};

static void warn(void *ctx, const char *line)
{
	diag_print(ctx, DIAG_WARNING, "%s", line);
}

/* Its messages go to a file beside its socket; /dev/null will do. */
static void detach_files(const char *name)
{
	int in = open("/dev/null", O_RDWR | O_CLOEXEC), out = -1;
	char path[4096];

	setsid();
	if (ttd_domain_log(name, path, sizeof path) == 0)
		out = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_APPEND, 0600);
	dup2(in, STDIN_FILENO);
	dup2(out >= 0 ? out : in, STDOUT_FILENO);
	dup2(out >= 0 ? out : in, STDERR_FILENO);
	close(in);
	if (out >= 0)
		close(out);
}

/* Never returns: this is the domain's process. */
static void child(struct guest_options *o, const char *name, int ready)
{
	struct diag diag;

	fcntl(ready, F_SETFD, FD_CLOEXEC);
	o->ready = ready;
	detach_files(name);
	diag_init(&diag, stderr, "ttd");
	exit(guest_run(o, &diag));
}

/* Its status, once it runs or has failed; *text says why. */
static int first_word(int ready, char *text, size_t size)
{
	unsigned char status = TTD_HOST;
	size_t n = 0;
	ssize_t k;

	if (read(ready, &status, 1) != 1)
		snprintf(text, size, "the domain's process died before it ran");
	else
		while (n < size - 1 && (k = read(ready, text + n, size - 1 - n)) > 0)
			n += (size_t)k;
	if (n > 0)
		text[n] = '\0';
	return status;
}

static int start(struct guest_options *o, const char *name, bool console, struct diag *diag)
{
	char text[600] = "";
	int fds[2], status;
	pid_t pid;

	if (pipe(fds) != 0 || (pid = fork()) < 0) {
		diag_print(diag, DIAG_ERROR, "cannot start a process: %s", strerror(errno));
		return TTD_HOST;
	}
	if (pid == 0) {
		close(fds[0]);
		child(o, name, fds[1]);
	}
	close(fds[1]);
	status = first_word(fds[0], text, sizeof text);
	close(fds[0]);
	if (status != TTD_OK) {
		diag_print(diag, DIAG_ERROR, "%s", text);
		return status;
	}
	if (console)
		return attach_console(name, diag);
	diag_print(diag, DIAG_NOTE, "%s runs in the background (process %d); ttd console %s shows it",
		name, (int)pid, name);
	return TTD_OK;
}

static int check_vifs(const struct config *cfg, struct diag *diag)
{
	struct ttd_error te = TTD_ERROR_INIT;

	if (cfg->nvifs > TTD_VIFS_MAX) {
		diag_print(diag, DIAG_ERROR, "%s: vif: at most %d interfaces are possible", cfg->name,
			TTD_VIFS_MAX);
		return -1;
	}
	for (unsigned i = 0; i < cfg->nvifs; i++) {
		if (ttd_vif_check(cfg->vifs[i], warn, diag, &te) != 0) {
			diag_print(diag, DIAG_ERROR, "%s: %s", cfg->name, te.text);
			return -1;
		}
	}
	return 0;
}

/* A new guest has only the files that the configuration names. */
static int check_files(const struct config *cfg, const struct files *f, struct diag *diag)
{
	const char *option = f->kernel != NULL ? "kernel" : f->ramdisk != NULL ? "ramdisk"
		: f->bases.n != 0 ? "disk-base" : NULL;

	if (cfg->replay || option == NULL)
		return 0;
	diag_print(diag, DIAG_ERROR, "--%s is for a replay; %s is not one: give KEY=VALUE", option, cfg->name);
	return -1;
}

static int start_or_check(struct creating *c, const struct config *cfg, struct diag *diag)
{
	if (check_files(cfg, &c->o.files, diag) != 0 || (!cfg->replay && check_vifs(cfg, diag) != 0))
		return TTD_USAGE;
	c->o.cfg = cfg;
	c->o.wait_console = c->console;
	return c->dry ? TTD_OK : start(&c->o, cfg->name, c->console, diag);
}

static int run(const struct command *cmd, struct diag *diag, int argc, char **argv)
{
	struct creating c = {.o.ready = -1};
	struct config cfg = {0};
	struct ttd_error e = TTD_ERROR_INIT;
	int first, status = command_parse(cmd, diag, argc, argv, &c, &first);

	if (status != COMMAND_GO) {
		files_free(&c.o.files);
		return status;
	}
	if (first == argc) {
		diag_print(diag, DIAG_ERROR, "create: name a configuration file; see ttd create --help");
		status = TTD_USAGE;
	} else if (config_read(argv[first], argv + first + 1, argc - first - 1, &cfg, warn, diag, &e) != 0) {
		status = diag_err(diag, &e);
	} else {
		status = start_or_check(&c, &cfg, diag);
	}
	config_free(&cfg);
	files_free(&c.o.files);
	return status;
}

const struct command command_create = {
	.name = "create",
	.runs_guest = true,
	.synopsis = "CONFIG [KEY=VALUE]... [-c] [-p]",
	.summary = "Start a domain from an xl/xm configuration file.",
	.options = options,
	.examples =
		"  ttd create debian.cfg -c\n"
		"  ttd create debian.cfg time_travel=\"ttd_flag=1\"\n"
		"  ttd create debian.cfg time_travel=\"ttd_flag=1, tt_replay_flag=1\" -c\n",
	.run = run,
};
