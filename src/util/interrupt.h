/*
 * interrupt.h - for long work before anything runs, such as reading a large
 * file: programs that take signals at a place of their own block them, so
 * whoever works long has to ask.
 */
#ifndef TTD_UTIL_INTERRUPT_H
#define TTD_UTIL_INTERRUPT_H

#include <stdbool.h>

/* A signal that is to end this process waits: SIGINT, SIGTERM or SIGHUP. */
bool interrupt_pending(void);

#endif
