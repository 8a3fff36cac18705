/*
 * child.c - see child.h.
 */
#define _GNU_SOURCE /* pipe2 */
#include "util/child.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "util/fullio.h"

int child_wait(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -1;
	return status;
}

int child_answer(void (*work)(void *ctx, void *answer), void *ctx, void *answer, size_t size)
{
	int fd[2], rc;
	pid_t pid;

	if (pipe2(fd, O_CLOEXEC) != 0)
		return errno;
	pid = fork();
	if (pid == 0) {
		close(fd[0]); /* or nobody would end it when its parent has ended */
		work(ctx, answer);
		_exit(write_full(fd[1], answer, size) != 0);
	}
	rc = pid < 0 ? errno : 0;
	close(fd[1]);
	if (pid > 0 && read_full(fd[0], answer, size) != 0)
		rc = ECHILD;
	close(fd[0]);
	if (pid > 0)
		child_wait(pid);
	return rc;
}
