/*
 * net_queue.c - frames on their way from the vCPU thread to a host side's
 * thread.  The eventfd is written by whoever finds the queue empty.
 */
#include "dev/net_host.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { QUEUE_BYTES = 8 << 20, EACH = 256 /* what a frame costs beside its bytes */ };

struct net_queue {
	pthread_mutex_t lock;
	struct net_queued *head, **tail;
	size_t bytes;
	bool ended;
	int fd;
};

struct net_queue *net_queue_create(struct ttd_error *e)
{
	struct net_queue *q = calloc(1, sizeof *q);

	if (q == NULL) {
		err_set(e, TTD_HOST, "out of memory for a network interface");
		return NULL;
	}
	q->tail = &q->head;
	q->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (q->fd < 0) {
		err_set(e, TTD_HOST, "eventfd: %s", strerror(errno));
		free(q);
		return NULL;
	}
	pthread_mutex_init(&q->lock, NULL);
	return q;
}

static void free_all(struct net_queued *f)
{
	struct net_queued *next;

	for (; f != NULL; f = next) {
		next = f->next;
		free(f);
	}
}

void net_queue_free(struct net_queue *q)
{
	if (q == NULL)
		return;
	free_all(q->head);
	pthread_mutex_destroy(&q->lock);
	close(q->fd);
	free(q);
}

int net_queue_fd(const struct net_queue *q)
{
	return q->fd;
}

static void ring(struct net_queue *q)
{
	uint64_t one = 1;

	while (write(q->fd, &one, sizeof one) < 0 && errno == EINTR)
		;
}

void net_queue_put(struct net_queue *q, const struct net_frame *f)
{
	struct net_queued *n = malloc(sizeof *n + f->len);
	bool first, full;

	if (n == NULL)
		return;
	n->next = NULL;
	n->f = *f;
	n->f.p = n->bytes;
	memcpy(n->bytes, f->p, f->len);
	pthread_mutex_lock(&q->lock);
	first = q->head == NULL;
	full = q->bytes + f->len + EACH > QUEUE_BYTES;
	if (!full) {
		*q->tail = n;
		q->tail = &n->next;
		q->bytes += f->len + EACH;
	}
	pthread_mutex_unlock(&q->lock);
	if (full)
		free(n);
	else if (first)
		ring(q);
}

struct net_queued *net_queue_take(struct net_queue *q)
{
	struct net_queued *f;
	uint64_t count;

	if (read(q->fd, &count, sizeof count) < 0 && errno != EAGAIN)
		return NULL;
	pthread_mutex_lock(&q->lock);
	f = q->head;
	q->head = NULL;
	q->tail = &q->head;
	q->bytes = 0;
	pthread_mutex_unlock(&q->lock);
	return f;
}

void net_queue_end(struct net_queue *q)
{
	pthread_mutex_lock(&q->lock);
	q->ended = true;
	pthread_mutex_unlock(&q->lock);
	ring(q);
}

bool net_queue_ended(struct net_queue *q)
{
	bool ended;

	pthread_mutex_lock(&q->lock);
	ended = q->ended;
	pthread_mutex_unlock(&q->lock);
	return ended;
}
