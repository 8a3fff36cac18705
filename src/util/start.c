/*
 * start.c - see start.h.
 */
#include "util/start.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

static const int ignored[] = {SIGPIPE, SIGXFSZ};
enum { IGNORED = sizeof ignored / sizeof *ignored };

static void (*found[IGNORED])(int);

/* open() takes the lowest number that is free: just the one that is missing. */
void program_start(bool filter)
{
	int fd;

	do {
		fd = open("/dev/null", O_RDWR);
		/* No /dev: anything that can be neither read nor written. */
		if (fd < 0)
			fd = open("/", O_PATH);
		if (fd < 0)
			_exit(1);
	} while (fd <= STDERR_FILENO);
	close(fd);
	for (int i = 0; i < IGNORED; i++)
		found[i] = filter && ignored[i] == SIGPIPE ? SIG_ERR : signal(ignored[i], SIG_IGN);
}

void program_before_exec(void)
{
	for (int i = 0; i < IGNORED; i++)
		if (found[i] != SIG_ERR)
			signal(ignored[i], found[i]);
}
