/* util_child.c - tests of children that hand an answer back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "util/child.h"

enum { BIG = 1 << 20 /* more than a pipe holds */, SOON = 10000 /* ms */ };

static uint8_t answer[BIG];

static void fills(void *ctx, void *to)
{
	memset(to, *(int *)ctx, BIG);
}

static void dies(void *ctx, void *to)
{
	(void)ctx;
	(void)to;
	_exit(0);
}

static void answers(void **state)
{
	int with = 7;

	(void)state;
	assert_int_equal(child_answer(fills, &with, answer, BIG), 0);
	assert_true(answer[0] == 7 && answer[BIG - 1] == 7);
	assert_int_equal(child_answer(dies, NULL, answer, BIG), ECHILD);
}

static void ends_who_asked(void *ctx, void *to)
{
	(void)to;
	kill(getppid(), SIGKILL);
	while (getppid() == *(pid_t *)ctx)
		usleep(1000);
}

/* Who asked is killed: nobody is left who waits to be heard. */
static void orphan(void **state)
{
	struct pollfd p = {.events = POLLIN};
	int alive[2];
	pid_t pid, self;
	char c;

	(void)state;
	assert_int_equal(pipe(alive), 0);
	pid = fork();
	if (pid == 0) {
		self = getpid();
		close(alive[0]);
		child_answer(ends_who_asked, &self, answer, BIG);
		_exit(0);
	}
	close(alive[1]);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	p.fd = alive[0];
	assert_int_equal(poll(&p, 1, SOON), 1); /* the last that has it open has ended */
	assert_int_equal(read(alive[0], &c, 1), 0);
	close(alive[0]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(answers),
		cmocka_unit_test(orphan),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
