/*
 * child.h - processes of our own that are forked to do one thing.
 */
#ifndef TTD_UTIL_CHILD_H
#define TTD_UTIL_CHILD_H

#include <stddef.h>
#include <sys/types.h>

/* Waits until it has ended: its status, as waitpid() gives it; -1: there is no such child. */
int child_wait(pid_t pid);

/*
 * Has a child do work(ctx, answer) on its copy of answer[0..size), and hand that back.  What
 * comes back may be an attacker's, if what the child works on was.  0; ECHILD: it has died
 * before; another errno value: it cannot be made.
 */
int child_answer(void (*work)(void *ctx, void *answer), void *ctx, void *answer, size_t size);

#endif
