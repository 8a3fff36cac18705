/*
 * domains.c - the other end of control.c: finding running domains and asking
 * something of them.
 */
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ttd/domain.h>
#include <unistd.h>

#include "util/runtime.h"
#include "util/text.h"

enum { ANSWER_MS = 5000, ANSWER_MAX = 512 };

static int gone(const char *name, struct ttd_error *e)
{
	return err_set(e, TTD_HOST, "there is no running domain named %.100s; ttd list shows them",
		name);
}

static int find(const char *name, char path[RUNTIME_PATH], struct ttd_error *e)
{
	int fd;

	if (!text_is_name(name))
		return gone(name, e);
	if (runtime_path(path, name, DOMAIN_SUFFIX, e) != 0)
		return -1;
	fd = runtime_connect(path, NULL);
	if (fd >= 0)
		return fd;
	runtime_sweep(path);
	return gone(name, e);
}

/* The text after "ok"; a connection that may go on, or -1. */
static int ask(const char *name, const char *request, char answer[ANSWER_MAX],
	struct ttd_error *e)
{
	char path[RUNTIME_PATH];
	int fd = find(name, path, e);
	ssize_t n;

	if (fd < 0)
		return -1;
	n = packet_send(fd, request, strlen(request), -1) != 0 ? -1
		: packet_recv(fd, answer, ANSWER_MAX - 1, NULL, ANSWER_MS);
	answer[n > 0 ? n : 0] = '\0';
	if (n >= 2 && strncmp(answer, "ok", 2) == 0)
		return fd;
	close(fd);
	if (n > 3 && strncmp(answer, "no ", 3) == 0)
		return err_set(e, TTD_HOST, "%s %.300s", name, answer + 3);
	return n == 0 ? gone(name, e) : err_set(e, TTD_HOST, "%s does not answer", name);
}

static int info(const char *name, struct ttd_domain *d, struct ttd_error *e)
{
	char answer[ANSWER_MAX];
	int fd = ask(name, "info", answer, e), state, n;

	if (fd < 0)
		return -1;
	close(fd);
	memset(d, 0, sizeof *d);
	snprintf(d->name, sizeof d->name, "%.64s", name);
	n = sscanf(answer, "ok %15s %" SCNu32 " %d %" SCNu64 " %d %" SCNu32, d->kind, &d->memory_mb,
		&state, &d->cpu_ns, &d->pid, &d->maxmem_mb);
	if (n != 6 || state < 0 || state > TTD_STATE_CRASHED)
		return err_set(e, TTD_HOST, "%s answers nonsense", name);
	d->state = (enum ttd_vm_state)state;
	return 0;
}

static int is_domain(const struct dirent *d)
{
	size_t n = strlen(d->d_name), k = strlen(DOMAIN_SUFFIX);

	return n > k && strcmp(d->d_name + n - k, DOMAIN_SUFFIX) == 0;
}

int ttd_domain_each(void (*fn)(void *ctx, const struct ttd_domain *d), void *ctx,
	struct ttd_error *err)
{
	char dir[RUNTIME_PATH];
	struct dirent **list;
	struct ttd_domain d;
	struct ttd_error spare, *e = err_begin(err, &spare);
	int n;

	if (runtime_dir(dir, e) != 0)
		return -1;
	n = scandir(dir, &list, is_domain, alphasort);
	for (int i = 0; i < n; i++) {
		list[i]->d_name[strlen(list[i]->d_name) - strlen(DOMAIN_SUFFIX)] = '\0';
		if (info(list[i]->d_name, &d, e) == 0)
			fn(ctx, &d);
		free(list[i]);
	}
	if (n >= 0)
		free(list);
	return 0;
}

static int command(const char *name, const char *request, int wait, struct ttd_error *e)
{
	char answer[ANSWER_MAX];
	int waiter = -1, fd;

	if (wait && (waiter = ask(name, "wait", answer, e)) < 0)
		return -1;
	fd = ask(name, request, answer, e);
	if (fd >= 0)
		close(fd);
	if (waiter >= 0) {
		if (fd >= 0)
			packet_recv(waiter, answer, sizeof answer, NULL, -1);
		close(waiter);
	}
	return fd >= 0 ? 0 : -1;
}

int ttd_domain_command(const char *name, const char *request, int wait, struct ttd_error *err)
{
	struct ttd_error spare, *e = err_begin(err, &spare);

	return command(name, request, wait, e);
}

int ttd_domain_console(const char *name, struct ttd_error *err)
{
	char answer[ANSWER_MAX];
	struct ttd_error spare, *e = err_begin(err, &spare);

	return ask(name, "console", answer, e);
}

int ttd_console_write(int fd, const void *p, size_t n)
{
	char b[1 + 1024];
	const char *s = p;

	b[0] = 'i';
	while (n > 0) {
		size_t part = n < sizeof b - 1 ? n : sizeof b - 1;

		memcpy(b + 1, s, part);
		if (packet_send(fd, b, 1 + part, -1) != 0)
			return -1;
		s += part;
		n -= part;
	}
	return 0;
}

long ttd_console_read(int fd, void *p, size_t n, int *status, char text[480])
{
	char b[PACKET_MAX / 8];
	ssize_t k = packet_recv(fd, b, sizeof b, NULL, -1);

	if (k >= 2 && b[0] == 'e') {
		*status = (unsigned char)b[1];
		k -= 2;
		snprintf(text, 480, "%.*s", (int)(k < 479 ? k : 479), b + 2);
		return 0;
	}
	if (k < 2 || b[0] != 'o' || (size_t)k - 1 > n)
		return -1;
	memcpy(p, b + 1, (size_t)k - 1);
	return (long)k - 1;
}

int ttd_domain_log(const char *name, char *path, size_t n)
{
	char full[RUNTIME_PATH];

	if (!text_is_name(name) || runtime_path(full, name, ".log", NULL) != 0 ||
		strlen(full) >= n)
		return -1;
	strcpy(path, full);
	return 0;
}
