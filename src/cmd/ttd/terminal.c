/*
 * terminal.c - raw mode, and the way back from it.
 *
 * The saved mode is this file's only state: a process has one controlling
 * terminal, and a crash handler gets no argument to find it by.
 */
#include "cmd/ttd/terminal.h"

#include <signal.h>
#include <stdlib.h>
#include <termios.h>
#include <unistd.h>

static struct termios saved;
static volatile sig_atomic_t have_saved, is_raw;

static const int crashes[] = {SIGABRT, SIGBUS, SIGSEGV};

bool terminal_ours(void)
{
	return isatty(STDIN_FILENO) == 1 && tcgetpgrp(STDIN_FILENO) == getpgrp();
}

static void crashed(int sig)
{
	terminal_restore();
	/* SA_RESETHAND has put the default back: die of it. */
	raise(sig);
}

void terminal_save(void)
{
	static char stack[64 * 1024];
	struct sigaction sa = {.sa_handler = crashed, .sa_flags = SA_ONSTACK | SA_RESETHAND};
	stack_t alt = {.ss_sp = stack, .ss_size = sizeof stack};

	if (have_saved || tcgetattr(STDIN_FILENO, &saved) != 0)
		return;
	have_saved = 1;
	sigaltstack(&alt, NULL);
	sigemptyset(&sa.sa_mask);
	for (size_t i = 0; i < sizeof crashes / sizeof *crashes; i++)
		sigaction(crashes[i], &sa, NULL);
	atexit(terminal_restore);
}

void terminal_raw(void)
{
	struct termios t = saved;

	if (!have_saved)
		return;
	cfmakeraw(&t);
	if (tcsetattr(STDIN_FILENO, TCSADRAIN, &t) == 0)
		is_raw = 1;
}

void terminal_restore(void)
{
	if (!is_raw)
		return;
	is_raw = 0;
	tcsetattr(STDIN_FILENO, TCSADRAIN, &saved);
}
