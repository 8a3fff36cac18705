/*
 * control.c - the control socket of a running domain.
 *
 * One thread serves all clients: a client asks something and gets one answer,
 * or turns into a console.  Each request and answer is a packet of text.
 *
 *	info       "ok KIND MEMORY STATE CPU_NS PID"
 *	pause, unpause, poweroff, reboot, destroy
 *	           "ok", or "no WHY"
 *	wait       "ok"; then the end of the connection is the domain's
 *	console    "ok"; then "o" and output, "e" and why it ended, from the
 *	           domain; "i" and input to it
 *
 *  CT1. Everything is under the lock.  The thread holds it but while it sleeps.
 *  CT2. The last OUTPUT bytes of console output are kept; a console begins with
 *      them, so that one that comes late shows what it missed.
 *  CT3. A console that does not read holds the guest up for STALL_MS once; after
 *      that it loses output instead.
 */
#include "daemon/control.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "util/clock.h"
#include "util/names.h"
#include "util/parse.h"
#include "util/runtime.h"
#include "util/text.h"
#include "util/thread.h"

enum {
	OUTPUT = 1 << 18, PART = 4096, CLIENTS = 64,
	STALL_MS = 2000, CONSOLE_WAIT_MS = 10000, LAST_MS = 2000
};

struct client {
	int fd;
	bool used, console, lossy;
	uint64_t at; /* console: output up to here has been sent */
};

struct ttd_control {
	char name[80], path[RUNTIME_PATH];
	int listener, wake, destroy_fd;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t changed; /* a console came, or read something */
	struct control_machine machine; /* ops NULL: there is none */
	char kind[16];
	uint32_t memory_mb, maxmem_mb; /* as of the last machine */
	clockid_t clock;
	bool have_clock, paused, wait, destroyed, kept, closing;
	enum ttd_vm_state kept_state;
	int status;      /* of the end */
	char text[400];
	uint8_t *output;
	uint64_t head;   /* bytes of output so far */
	struct client client[CLIENTS];
};

static char own_path[RUNTIME_PATH]; /* of the process's one control socket */

static void poke(int fd)
{
	uint64_t one = 1;

	if (write(fd, &one, sizeof one) < 0)
		return; /* full: it is readable anyway */
}

/* ---- requests ---- */

static bool runs(const struct ttd_control *c)
{
	return c->machine.ops != NULL;
}

static void hang_up(struct client *s)
{
	close(s->fd);
	s->used = s->console = false;
}

static void answer(struct client *s, const char *text)
{
	if (packet_send(s->fd, text, strlen(text), -1) != 0)
		hang_up(s);
}

static void req_info(struct ttd_control *c, struct client *s)
{
	enum ttd_vm_state state = c->kept ? c->kept_state : runs(c)
		? c->machine.ops->state(c->machine.ctx) : TTD_STATE_RUNNING;
	uint64_t cpu = 0;
	char text[120];

	if (c->have_clock)
		cpu = clock_ns(c->clock);
	if (runs(c))
		c->memory_mb = c->machine.ops->memory(c->machine.ctx);
	snprintf(text, sizeof text, "ok %s %" PRIu32 " %d %" PRIu64 " %d %" PRIu32, c->kind[0] != '\0'
		? c->kind : "run", c->memory_mb, (int)state, cpu,
		(int)getpid(), c->maxmem_mb);
	answer(s, text);
}

static void req_pause(struct ttd_control *c, struct client *s)
{
	c->paused = true;
	if (runs(c))
		c->machine.ops->pause(c->machine.ctx);
	answer(s, "ok");
}

static void req_unpause(struct ttd_control *c, struct client *s)
{
	c->paused = false;
	if (runs(c))
		c->machine.ops->unpause(c->machine.ctx);
	answer(s, "ok");
}

static bool takes_input(struct ttd_control *c, struct client *s)
{
	if (!runs(c))
		answer(s, "no is not running");
	else if (strcmp(c->kind, "replay") == 0)
		answer(s, "no is a replay, which takes no input; destroy ends it");
	else
		return true;
	return false;
}

static void ask_guest(struct ttd_control *c, struct client *s, const char *how)
{
	if (!takes_input(c, s))
		return;
	c->machine.ops->shutdown(c->machine.ctx, how);
	answer(s, "ok");
}

static void req_poweroff(struct ttd_control *c, struct client *s)
{
	ask_guest(c, s, "poweroff");
}

static void req_reboot(struct ttd_control *c, struct client *s)
{
	ask_guest(c, s, "reboot");
}

/* "memory MB" */
static void req_memory(struct ttd_control *c, struct client *s, const char *mb)
{
	char text[120];
	uint64_t n;

	if (!takes_input(c, s))
		return;
	if (parse_u64(mb, 1, UINT32_MAX, &n) != 0 || n > c->maxmem_mb) {
		snprintf(text, sizeof text, "no may have 1 to %" PRIu32 " MB (its maxmem)",
			c->maxmem_mb);
		answer(s, text);
	} else if (c->machine.ops->set_memory(c->machine.ctx, (uint32_t)n) != 0) {
		answer(s, "no takes no input now");
	} else {
		answer(s, "ok");
	}
}

static void req_destroy(struct ttd_control *c, struct client *s)
{
	c->destroyed = true;
	if (runs(c))
		c->machine.ops->stop(c->machine.ctx);
	poke(c->destroy_fd);
	answer(s, "ok");
}

static void req_wait(struct ttd_control *c, struct client *s)
{
	(void)c;
	answer(s, "ok");
}

static void req_console(struct ttd_control *c, struct client *s)
{
	s->console = true;
	s->lossy = false;
	s->at = c->head > OUTPUT ? c->head - OUTPUT : 0;
	answer(s, "ok");
	c->wait = false;
	pthread_cond_broadcast(&c->changed);
}

static const struct {
	const char *word;
	void (*fn)(struct ttd_control *c, struct client *s);
} requests[] = {
	{"info", req_info}, {"pause", req_pause}, {"unpause", req_unpause},
	{"poweroff", req_poweroff}, {"reboot", req_reboot}, {"destroy", req_destroy},
	{"wait", req_wait}, {"console", req_console},
};

static void request(struct ttd_control *c, struct client *s, const char *p, size_t n)
{
	char mb[24];

	if (s->console) {
		if (n > 1 && p[0] == 'i' && runs(c))
			c->machine.ops->console_in(c->machine.ctx, p + 1, n - 1);
		return;
	}
	if (n > 7 && n < 7 + sizeof mb && memcmp(p, "memory ", 7) == 0) {
		snprintf(mb, sizeof mb, "%.*s", (int)(n - 7), p + 7);
		req_memory(c, s, mb);
		return;
	}
	for (size_t i = 0; i < sizeof requests / sizeof *requests; i++) {
		if (strlen(requests[i].word) == n && memcmp(requests[i].word, p, n) == 0) {
			requests[i].fn(c, s);
			return;
		}
	}
	answer(s, "no does not understand that; is it run by another version of ttd?");
}

/* ---- output ---- */

static bool sent(struct ttd_control *c, struct client *s)
{
	char b[1 + PART];
	size_t n = c->head - s->at < PART ? (size_t)(c->head - s->at) : PART;

	b[0] = 'o';
	for (size_t i = 0; i < n; i++)
		b[1 + i] = (char)c->output[(s->at + i) % OUTPUT];
	if (send(s->fd, b, 1 + n, MSG_DONTWAIT | MSG_NOSIGNAL) < 0) {
		if (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR)
			hang_up(s);
		return false;
	}
	s->at += n;
	pthread_cond_broadcast(&c->changed);
	return true;
}

/* No console would lose anything by `n` bytes more. */
static bool room(const struct ttd_control *c, size_t n)
{
	for (unsigned i = 0; i < CLIENTS; i++) {
		const struct client *s = &c->client[i];

		if (s->used && s->console && !s->lossy && c->head + n - s->at > OUTPUT)
			return false;
	}
	return true;
}

static void overtake(struct ttd_control *c, size_t n)
{
	for (unsigned i = 0; i < CLIENTS; i++) {
		struct client *s = &c->client[i];

		if (!s->used || !s->console || c->head + n - s->at <= OUTPUT)
			continue;
		s->lossy = true;
		s->at = c->head + n - OUTPUT;
	}
}

static void put(struct ttd_control *c, const uint8_t *p, size_t n)
{
	struct timespec until = thread_until(STALL_MS);

	poke(c->wake);
	while (!room(c, n) && !c->destroyed)
		if (pthread_cond_timedwait(&c->changed, &c->lock, &until) == ETIMEDOUT)
			break;
	overtake(c, n);
	for (size_t i = 0; i < n; i++)
		c->output[(c->head + i) % OUTPUT] = p[i];
	c->head += n;
}

void ttd_control_output(void *control, const void *p, size_t n)
{
	struct ttd_control *c = control;
	const uint8_t *b = p;

	pthread_mutex_lock(&c->lock);
	while (n > 0) {
		size_t part = n < PART ? n : PART;

		put(c, b, part);
		b += part;
		n -= part;
	}
	pthread_mutex_unlock(&c->lock);
}

/* ---- the thread ---- */

static void welcome(struct ttd_control *c)
{
	int fd = runtime_accept(c->listener);

	for (unsigned i = 0; fd >= 0 && i < CLIENTS; i++) {
		if (!c->client[i].used) {
			c->client[i] = (struct client){.fd = fd, .used = true};
			return;
		}
	}
	if (fd >= 0)
		close(fd);
}

static void serve(struct ttd_control *c, struct client *s, short events)
{
	char b[PART + 2];
	ssize_t n;

	if (events & (POLLIN | POLLHUP | POLLERR)) {
		n = packet_recv(s->fd, b, sizeof b, NULL, 0);
		if (n <= 0) {
			hang_up(s);
			pthread_cond_broadcast(&c->changed);
			return;
		}
		request(c, s, b, (size_t)n);
	}
	while (s->used && s->console && s->at < c->head && sent(c, s))
		;
}

static bool drained(const struct ttd_control *c)
{
	for (unsigned i = 0; i < CLIENTS; i++)
		if (c->client[i].used && c->client[i].console && c->client[i].at < c->head)
			return false;
	return true;
}

/* One round: sleeps without the lock, then serves whoever wants something. */
static void round_of(struct ttd_control *c, int ms)
{
	struct pollfd p[CLIENTS + 2];
	uint64_t count;

	p[0] = (struct pollfd){.fd = c->wake, .events = POLLIN};
	p[1] = (struct pollfd){.fd = c->closing ? -1 : c->listener, .events = POLLIN};
	for (unsigned i = 0; i < CLIENTS; i++) {
		const struct client *s = &c->client[i];
		bool full = s->console && s->at < c->head;

		p[2 + i] = (struct pollfd){.fd = s->used ? s->fd : -1,
			.events = (short)(POLLIN | (full ? POLLOUT : 0))};
	}
	pthread_mutex_unlock(&c->lock);
	poll(p, CLIENTS + 2, ms);
	pthread_mutex_lock(&c->lock);
	if (p[0].revents != 0 && read(c->wake, &count, sizeof count) < 0)
		return;
	for (unsigned i = 0; i < CLIENTS; i++)
		if (c->client[i].used && p[2 + i].fd == c->client[i].fd)
			serve(c, &c->client[i], p[2 + i].revents);
	if (p[1].revents != 0)
		welcome(c);
}

static void say_goodbye(struct ttd_control *c)
{
	char b[2 + sizeof c->text];
	size_t n = strlen(c->text);

	b[0] = 'e';
	b[1] = (char)c->status;
	memcpy(b + 2, c->text, n);
	for (unsigned i = 0; i < CLIENTS; i++) {
		struct client *s = &c->client[i];

		if (!s->used)
			continue;
		if (s->console)
			send(s->fd, b, 2 + n, MSG_DONTWAIT | MSG_NOSIGNAL);
		hang_up(s);
	}
}

static void *control_thread(void *arg)
{
	struct ttd_control *c = arg;
	uint64_t end;

	pthread_mutex_lock(&c->lock);
	while (!c->closing)
		round_of(c, -1);
	end = clock_ms() + LAST_MS;
	while (!drained(c) && clock_ms() < end)
		round_of(c, 100);
	/* Away first: who is told that the domain has ended does not find it again. */
	names_remove(c->path);
	close(c->listener);
	say_goodbye(c);
	pthread_mutex_unlock(&c->lock);
	return NULL;
}

/* ---- public ---- */

static int claim(struct ttd_control *c, const char *name, unsigned flags, struct ttd_error *e)
{
	bool taken;

	snprintf(c->name, sizeof c->name, "%s", name);
	if (!text_is_name(name))
		return err_set(e, TTD_USAGE, "the name '%.100s' is not one for a domain: use at most "
			"64 letters, digits and . _ + - ~", name);
	for (;;) {
		if (runtime_path(c->path, c->name, DOMAIN_SUFFIX, e) != 0)
			return -1;
		c->listener = runtime_listen(c->path, &taken, e);
		if (c->listener >= 0)
			return 0;
		if (!taken)
			return -1;
		if (!(flags & TTD_CONTROL_RENAME))
			return err_set(e, TTD_USAGE, "a domain named %s runs already; give another "
				"name, or end it with ttd shutdown or ttd destroy", name);
		flags &= ~(unsigned)TTD_CONTROL_RENAME;
		snprintf(c->name, sizeof c->name, "%.53s-%d", name, (int)getpid());
	}
}

static int start(struct ttd_control *c, struct ttd_error *e)
{
	int rc;

	thread_lock_init(&c->lock, &c->changed);
	c->output = malloc(OUTPUT);
	c->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	c->destroy_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (c->output == NULL || c->wake < 0 || c->destroy_fd < 0)
		return err_set(e, TTD_HOST, "out of memory for the control socket");
	rc = thread_start(&c->thread, control_thread, c);
	return rc == 0 ? 0 : err_set(e, TTD_HOST, "cannot start the control thread: %s",
		strerror(rc));
}

static void release(struct ttd_control *c)
{
	if (c->wake >= 0)
		close(c->wake);
	if (c->destroy_fd >= 0)
		close(c->destroy_fd);
	free(c->output);
	free(c);
}

struct ttd_control *ttd_control_open(const char *name, unsigned flags, struct ttd_error *err)
{
	struct ttd_control *c = calloc(1, sizeof *c);
	struct ttd_error spare, *e = err_begin(err, &spare);

	if (c == NULL) {
		err_set(e, TTD_HOST, "out of memory");
		return NULL;
	}
	c->wake = c->destroy_fd = -1;
	c->paused = (flags & TTD_CONTROL_PAUSED) != 0;
	c->wait = (flags & TTD_CONTROL_WAIT) != 0;
	if (claim(c, name, flags, e) == 0) {
		if (start(c, e) == 0) {
			strcpy(own_path, c->path);
			return c;
		}
		names_remove(c->path);
		close(c->listener);
	}
	release(c);
	return NULL;
}

const char *control_path(void)
{
	return own_path[0] != '\0' ? own_path : NULL;
}

const char *ttd_control_name(const struct ttd_control *c)
{
	return c->name;
}

void control_attach(struct ttd_control *c, const struct control_machine *m)
{
	struct timespec until = thread_until(CONSOLE_WAIT_MS);

	pthread_mutex_lock(&c->lock);
	c->machine = m != NULL ? *m : (struct control_machine){0};
	if (m != NULL) {
		snprintf(c->kind, sizeof c->kind, "%s", m->kind);
		c->maxmem_mb = m->maxmem_mb;
		c->have_clock = pthread_getcpuclockid(pthread_self(), &c->clock) == 0;
		if (c->paused)
			m->ops->pause(m->ctx);
		if (c->destroyed)
			m->ops->stop(m->ctx);
		while (c->wait && !c->destroyed)
			if (pthread_cond_timedwait(&c->changed, &c->lock, &until) == ETIMEDOUT)
				break;
		c->wait = false;
	}
	pthread_mutex_unlock(&c->lock);
}

int ttd_control_destroyed(const struct ttd_control *c)
{
	return __atomic_load_n(&c->destroyed, __ATOMIC_SEQ_CST);
}

void ttd_control_keep(struct ttd_control *c, enum ttd_vm_state state, int wake_fd)
{
	struct pollfd p[] = {
		{.fd = c->destroy_fd, .events = POLLIN}, {.fd = wake_fd, .events = POLLIN},
	};

	pthread_mutex_lock(&c->lock);
	c->kept = true;
	c->kept_state = state;
	pthread_mutex_unlock(&c->lock);
	while (!ttd_control_destroyed(c) && poll(p, 2, -1) < 0 && errno == EINTR)
		;
}

void ttd_control_close(struct ttd_control *c, int status, const char *text)
{
	if (c == NULL)
		return;
	pthread_mutex_lock(&c->lock);
	c->closing = true;
	c->status = status;
	snprintf(c->text, sizeof c->text, "%s", text != NULL ? text : "");
	pthread_mutex_unlock(&c->lock);
	poke(c->wake);
	pthread_join(c->thread, NULL);
	pthread_cond_destroy(&c->changed);
	pthread_mutex_destroy(&c->lock);
	release(c);
}
