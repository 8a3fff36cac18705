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
 *  C1. Everything is under the lock.  The thread holds it but while it sleeps.
 *  C2. The last OUTPUT bytes of console output are kept; a console begins with
 *      them, so that one that comes late shows what it missed.
 *  C3. A console that does not read holds the guest up for STALL_MS once; after
 *      that it loses output instead.
 */
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

#include "lib/runtime.h"
#include "lib/vm.h"
#include "util/thread.h"

enum {
	OUTPUT = 1 << 18, PART = 4096, SESSIONS = 64,
	STALL_MS = 2000, CONSOLE_WAIT_MS = 10000, LAST_MS = 2000
};

struct session {
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
	struct ttd_vm *vm;
	char kind[16];
	uint32_t memory_mb;
	clockid_t clock;
	bool have_clock, paused, wait, destroyed, kept, closing;
	enum ttd_vm_state kept_state;
	int status;      /* of the end */
	char text[400];
	uint8_t *output;
	uint64_t head;   /* bytes of output so far */
	struct session session[SESSIONS];
};

static void poke(int fd)
{
	uint64_t one = 1;

	if (write(fd, &one, sizeof one) < 0)
		return; /* full: it is readable anyway */
}

static struct timespec in_ms(unsigned ms)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	ts.tv_sec += ms / 1000;
	ts.tv_nsec += (long)(ms % 1000) * 1000000;
	if (ts.tv_nsec >= 1000000000) {
		ts.tv_sec++;
		ts.tv_nsec -= 1000000000;
	}
	return ts;
}

/* ---- requests ---- */

static void hang_up(struct session *s)
{
	close(s->fd);
	s->used = s->console = false;
}

static void answer(struct session *s, const char *text)
{
	if (packet_send(s->fd, text, strlen(text), -1) != 0)
		hang_up(s);
}

static void req_info(struct ttd_control *c, struct session *s)
{
	enum ttd_vm_state state = c->kept ? c->kept_state : c->vm != NULL ? ttd_vm_state(c->vm)
		: TTD_STATE_RUNNING;
	struct timespec cpu = {0};
	char text[120];

	if (c->have_clock)
		clock_gettime(c->clock, &cpu);
	snprintf(text, sizeof text, "ok %s %" PRIu32 " %d %" PRIu64 " %d", c->kind[0] != '\0'
		? c->kind : "run", c->memory_mb, (int)state, (uint64_t)cpu.tv_sec * 1000000000 +
		(uint64_t)cpu.tv_nsec, (int)getpid());
	answer(s, text);
}

static void req_pause(struct ttd_control *c, struct session *s)
{
	c->paused = true;
	if (c->vm != NULL)
		ttd_vm_pause(c->vm);
	answer(s, "ok");
}

static void req_unpause(struct ttd_control *c, struct session *s)
{
	c->paused = false;
	if (c->vm != NULL)
		ttd_vm_unpause(c->vm);
	answer(s, "ok");
}

static void ask_guest(struct ttd_control *c, struct session *s, const char *how)
{
	if (c->vm == NULL)
		answer(s, "no is not running");
	else if (strcmp(c->kind, "replay") == 0)
		answer(s, "no is a replay, which takes no input; destroy ends it");
	else {
		ttd_vm_shutdown(c->vm, how);
		answer(s, "ok");
	}
}

static void req_poweroff(struct ttd_control *c, struct session *s)
{
	ask_guest(c, s, "poweroff");
}

static void req_reboot(struct ttd_control *c, struct session *s)
{
	ask_guest(c, s, "reboot");
}

static void req_destroy(struct ttd_control *c, struct session *s)
{
	c->destroyed = true;
	if (c->vm != NULL)
		ttd_vm_stop(c->vm);
	poke(c->destroy_fd);
	answer(s, "ok");
}

static void req_wait(struct ttd_control *c, struct session *s)
{
	(void)c;
	answer(s, "ok");
}

static void req_console(struct ttd_control *c, struct session *s)
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
	void (*fn)(struct ttd_control *c, struct session *s);
} requests[] = {
	{"info", req_info}, {"pause", req_pause}, {"unpause", req_unpause},
	{"poweroff", req_poweroff}, {"reboot", req_reboot}, {"destroy", req_destroy},
	{"wait", req_wait}, {"console", req_console},
};

static void request(struct ttd_control *c, struct session *s, const char *p, size_t n)
{
	if (s->console) {
		if (n > 1 && p[0] == 'i' && c->vm != NULL)
			ttd_vm_console_in(c->vm, p + 1, n - 1);
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

static bool sent(struct ttd_control *c, struct session *s)
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
	for (unsigned i = 0; i < SESSIONS; i++) {
		const struct session *s = &c->session[i];

		if (s->used && s->console && !s->lossy && c->head + n - s->at > OUTPUT)
			return false;
	}
	return true;
}

static void overtake(struct ttd_control *c, size_t n)
{
	for (unsigned i = 0; i < SESSIONS; i++) {
		struct session *s = &c->session[i];

		if (!s->used || !s->console || c->head + n - s->at <= OUTPUT)
			continue;
		s->lossy = true;
		s->at = c->head + n - OUTPUT;
	}
}

static void put(struct ttd_control *c, const uint8_t *p, size_t n)
{
	struct timespec until = in_ms(STALL_MS);

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

	for (unsigned i = 0; fd >= 0 && i < SESSIONS; i++) {
		if (!c->session[i].used) {
			c->session[i] = (struct session){.fd = fd, .used = true};
			return;
		}
	}
	if (fd >= 0)
		close(fd);
}

static void serve(struct ttd_control *c, struct session *s, short events)
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
	for (unsigned i = 0; i < SESSIONS; i++)
		if (c->session[i].used && c->session[i].console && c->session[i].at < c->head)
			return false;
	return true;
}

/* One round: sleeps without the lock, then serves whoever wants something. */
static void round_of(struct ttd_control *c, int ms)
{
	struct pollfd p[SESSIONS + 2];
	uint64_t count;

	p[0] = (struct pollfd){.fd = c->wake, .events = POLLIN};
	p[1] = (struct pollfd){.fd = c->closing ? -1 : c->listener, .events = POLLIN};
	for (unsigned i = 0; i < SESSIONS; i++) {
		const struct session *s = &c->session[i];
		bool full = s->console && s->at < c->head;

		p[2 + i] = (struct pollfd){.fd = s->used ? s->fd : -1,
			.events = (short)(POLLIN | (full ? POLLOUT : 0))};
	}
	pthread_mutex_unlock(&c->lock);
	poll(p, SESSIONS + 2, ms);
	pthread_mutex_lock(&c->lock);
	if (p[0].revents != 0 && read(c->wake, &count, sizeof count) < 0)
		return;
	for (unsigned i = 0; i < SESSIONS; i++)
		if (c->session[i].used && p[2 + i].fd == c->session[i].fd)
			serve(c, &c->session[i], p[2 + i].revents);
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
	for (unsigned i = 0; i < SESSIONS; i++) {
		struct session *s = &c->session[i];

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
	struct timespec end, now;

	pthread_mutex_lock(&c->lock);
	while (!c->closing)
		round_of(c, -1);
	end = in_ms(LAST_MS);
	while (!drained(c)) {
		clock_gettime(CLOCK_MONOTONIC, &now);
		if (now.tv_sec > end.tv_sec)
			break;
		round_of(c, 100);
	}
	/* Away first: who is told that the domain has ended does not find it again. */
	unlink(c->path);
	close(c->listener);
	say_goodbye(c);
	pthread_mutex_unlock(&c->lock);
	return NULL;
}

/* ---- public ---- */

static int claim(struct ttd_control *c, const char *name, unsigned flags, struct err *e)
{
	bool taken;

	snprintf(c->name, sizeof c->name, "%s", name);
	if (!runtime_name_ok(name))
		return err_set(e, ST_USAGE, "the name '%.100s' is not one for a domain: use at most "
			"64 letters, digits and . _ + -", name);
	for (;;) {
		if (runtime_path(c->path, c->name, DOMAIN_SUFFIX, e) != 0)
			return -1;
		c->listener = runtime_listen(c->path, &taken, e);
		if (c->listener >= 0)
			return 0;
		if (!taken)
			return -1;
		if (!(flags & TTD_CONTROL_RENAME))
			return err_set(e, ST_USAGE, "a domain named %s runs already; give another "
				"name, or end it with ttd shutdown or ttd destroy", name);
		flags &= ~(unsigned)TTD_CONTROL_RENAME;
		snprintf(c->name, sizeof c->name, "%.53s-%d", name, (int)getpid());
	}
}

static int start(struct ttd_control *c, struct err *e)
{
	int rc;

	thread_lock_init(&c->lock, &c->changed);
	c->output = malloc(OUTPUT);
	c->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	c->destroy_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (c->output == NULL || c->wake < 0 || c->destroy_fd < 0)
		return err_set(e, ST_HOST, "out of memory for the control socket");
	rc = pthread_create(&c->thread, NULL, control_thread, c);
	return rc == 0 ? 0 : err_set(e, ST_HOST, "cannot start the control thread: %s",
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
	struct err e;

	if (c == NULL) {
		err_set(&e, ST_HOST, "out of memory");
		vm_error(err, &e);
		return NULL;
	}
	c->wake = c->destroy_fd = -1;
	c->paused = (flags & TTD_CONTROL_PAUSED) != 0;
	c->wait = (flags & TTD_CONTROL_WAIT) != 0;
	if (claim(c, name, flags, &e) == 0) {
		if (start(c, &e) == 0)
			return c;
		unlink(c->path);
		close(c->listener);
	}
	vm_error(err, &e);
	release(c);
	return NULL;
}

const char *ttd_control_name(const struct ttd_control *c)
{
	return c->name;
}

void ttd_control_attach(struct ttd_control *c, struct ttd_vm *vm)
{
	struct timespec until = in_ms(CONSOLE_WAIT_MS);

	pthread_mutex_lock(&c->lock);
	c->vm = vm;
	if (vm != NULL) {
		snprintf(c->kind, sizeof c->kind, "%s", vm->kind);
		c->memory_mb = vm->memory_mb;
		c->have_clock = pthread_getcpuclockid(pthread_self(), &c->clock) == 0;
		if (c->paused)
			ttd_vm_pause(vm);
		if (c->destroyed)
			ttd_vm_stop(vm);
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
