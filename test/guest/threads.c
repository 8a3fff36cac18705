/*
 * threads.c - mutexes, condition variables, barriers, semaphores, atomics,
 * thread-local storage, robust mutexes and cancellation under load.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"

enum { THREADS = 8, ROUNDS = 3000, QUEUE = 7 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t not_full = PTHREAD_COND_INITIALIZER, not_empty = PTHREAD_COND_INITIALIZER;
static int queue[QUEUE], queued, taken;
static uint64_t sum_in, sum_out;
static uint64_t counter, locked_counter;
static _Thread_local uint64_t own;

static void all(void *(*f)(void *))
{
	pthread_t t[THREADS];

	for (long i = 0; i < THREADS; i++)
		if (pthread_create(&t[i], NULL, f, (void *)i) != 0)
			exit(2);
	for (int i = 0; i < THREADS; i++)
		pthread_join(t[i], NULL);
}

static void *work(void *arg)
{
	uint64_t state = (uint64_t)(long)arg;

	for (int i = 0; i < ROUNDS; i++) {
		int v = (int)(random_next(&state) % 1000);

		if ((long)arg % 2 == 0) {
			pthread_mutex_lock(&lock);
			while (queued == QUEUE)
				pthread_cond_wait(&not_full, &lock);
			queue[queued++] = v;
			sum_in += (unsigned)v;
			pthread_cond_signal(&not_empty);
			pthread_mutex_unlock(&lock);
		} else {
			pthread_mutex_lock(&lock);
			while (queued == 0)
				pthread_cond_wait(&not_empty, &lock);
			sum_out += (unsigned)queue[--queued];
			taken++;
			pthread_cond_signal(&not_full);
			pthread_mutex_unlock(&lock);
		}
	}
	return NULL;
}

static void *count(void *arg)
{
	(void)arg;
	for (int i = 0; i < ROUNDS; i++) {
		__atomic_fetch_add(&counter, 1, __ATOMIC_SEQ_CST);
		own += 2;
		pthread_mutex_lock(&lock);
		locked_counter++;
		pthread_mutex_unlock(&lock);
		if (i % 100 == 0)
			sched_yield();
	}
	__atomic_fetch_add(&counter, own, __ATOMIC_SEQ_CST);
	return NULL;
}

static pthread_barrier_t barrier;
static int phase[THREADS], out_of_step;

static void *march(void *arg)
{
	long me = (long)arg;

	for (int i = 0; i < 100; i++) {
		phase[me] = i;
		pthread_barrier_wait(&barrier);
		for (int j = 0; j < THREADS; j++)
			if (phase[j] != i)
				out_of_step = 1;
		pthread_barrier_wait(&barrier);
	}
	return NULL;
}

/* A lock-free stack by 16-byte compare and exchange. */
struct node { struct node *next; };
struct top { struct node *head; uint64_t version; } __attribute__((aligned(16)));
static struct top top;

static int cas16(struct top *t, struct top *old, struct top new)
{
	unsigned char done;

	__asm__ volatile("lock cmpxchg16b %1; setz %0"
		: "=q"(done), "+m"(*t), "+a"(old->head), "+d"(old->version)
		: "b"(new.head), "c"(new.version) : "memory", "cc");
	return done;
}

static void *stack_work(void *arg)
{
	struct node *mine = calloc(ROUNDS, sizeof *mine);
	struct top old;

	(void)arg;
	for (int i = 0; i < ROUNDS; i++) {
		old = top;
		do
			mine[i].next = old.head;
		while (!cas16(&top, &old, (struct top){ &mine[i], old.version + 1 }));
		if (i % 50 == 0)
			sched_yield();
	}
	return NULL;
}

static void *sleeper(void *arg)
{
	sem_post(arg);
	while (pause() != 0)
		;
	return NULL;
}

static void processes(void)
{
	struct { pthread_mutex_t m; uint64_t n; } *s;
	pthread_mutexattr_t a;
	int status, failed = 0;

	s = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pthread_mutexattr_init(&a);
	pthread_mutexattr_setpshared(&a, PTHREAD_PROCESS_SHARED);
	pthread_mutexattr_setrobust(&a, PTHREAD_MUTEX_ROBUST);
	pthread_mutex_init(&s->m, &a);
	for (int i = 0; i < 4; i++) {
		if (fork() == 0) {
			for (int j = 0; j < 500; j++) {
				pthread_mutex_lock(&s->m);
				s->n++;
				if (j % 20 == 0)
					sched_yield();
				pthread_mutex_unlock(&s->m);
			}
			_exit(0);
		}
	}
	for (int i = 0; i < 4; i++) {
		wait(&status);
		failed |= status;
	}
	check(failed == 0 && s->n == 2000, "a mutex shared by processes");
	if (fork() == 0) {
		pthread_mutex_lock(&s->m);
		_exit(0);
	}
	wait(&status);
	check(pthread_mutex_lock(&s->m) == EOWNERDEAD, "robust mutex of a dead process");
}

int main(void)
{
	pthread_t t;
	sem_t sem;
	void *result;
	long n = 0;

	all(work);
	check(sum_in == sum_out && taken == THREADS / 2 * ROUNDS && queued == 0,
		"queue with condition variables: %llu", (unsigned long long)sum_out);
	all(count);
	check(counter == 3 * THREADS * ROUNDS && locked_counter == THREADS * ROUNDS,
		"counters and thread-local storage");
	pthread_barrier_init(&barrier, NULL, THREADS);
	all(march);
	check(!out_of_step, "barrier");
	all(stack_work);
	for (struct node *p = top.head; p != NULL; p = p->next)
		n++;
	check(n == THREADS * ROUNDS && top.version == THREADS * ROUNDS, "cmpxchg16b stack");
	sem_init(&sem, 0, 0);
	pthread_create(&t, NULL, sleeper, &sem);
	sem_wait(&sem);
	pthread_cancel(t);
	pthread_join(t, &result);
	check(result == PTHREAD_CANCELED, "cancellation");
	processes();
	return check_failed;
}
