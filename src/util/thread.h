/*
 * thread.h - threads that signals do not reach, except for the real-time ones: by
 * one of those the sandbox makes each thread confine itself.
 */
#ifndef TTD_UTIL_THREAD_H
#define TTD_UTIL_THREAD_H

#include <pthread.h>
#include <signal.h>
#include <time.h>

#include "util/clock.h"

/* What pthread_create() returns. */
static inline int thread_start(pthread_t *t, void *(*fn)(void *ctx), void *ctx)
{
	sigset_t all, old;
	int rc;

	sigfillset(&all);
	for (int sig = SIGRTMIN; sig <= SIGRTMAX; sig++)
		sigdelset(&all, sig);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	rc = pthread_create(t, NULL, fn, ctx);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return rc;
}

/* A lock, and something to wait for under it whose timeouts are of CLOCK_MONOTONIC. */
static inline void thread_lock_init(pthread_mutex_t *lock, pthread_cond_t *changed)
{
	pthread_condattr_t attr;

	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(changed, &attr);
	pthread_condattr_destroy(&attr);
	pthread_mutex_init(lock, NULL);
}

/* `ms` from now, as pthread_cond_timedwait() wants it of such a condition. */
static inline struct timespec thread_until(unsigned ms)
{
	uint64_t ns = clock_ns(CLOCK_MONOTONIC) + (uint64_t)ms * 1000000;

	return (struct timespec){ .tv_sec = (time_t)(ns / 1000000000),
		.tv_nsec = (long)(ns % 1000000000) };
}

#endif
