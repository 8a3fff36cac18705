/*
 * interrupt.c - see interrupt.h.
 */
#include "util/interrupt.h"

#include <signal.h>

bool interrupt_pending(void)
{
	sigset_t s;

	return sigpending(&s) == 0 && (sigismember(&s, SIGINT) == 1 ||
		sigismember(&s, SIGTERM) == 1 || sigismember(&s, SIGHUP) == 1);
}
