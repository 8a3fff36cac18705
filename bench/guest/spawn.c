/*
 * spawn.c - fork, execve, exit and wait, one after the other.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	int n, done = 0;

	if (argc < 2)
		return 7;
	n = atoi(argv[1]);
	for (int i = 0; i < n; i++) {
		pid_t pid = fork();
		int status;

		if (pid < 0)
			return 1;
		if (pid == 0) {
			execl(argv[0], argv[0], (char *)NULL);
			_exit(1);
		}
		if (waitpid(pid, &status, 0) != pid)
			return 1;
		done += WIFEXITED(status) && WEXITSTATUS(status) == 7;
	}
	printf("%d\n", done);
	return done == n ? 0 : 1;
}
