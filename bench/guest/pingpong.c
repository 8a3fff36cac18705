/*
 * pingpong.c - two processes pass one byte back and forth through two pipes.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static void pass(int n, int in, int out, int first)
{
	char byte = 'x';

	while (n-- > 0) {
		if (first && write(out, &byte, 1) != 1)
			exit(1);
		if (read(in, &byte, 1) != 1)
			exit(1);
		if (!first && write(out, &byte, 1) != 1)
			exit(1);
	}
}

int main(int argc, char **argv)
{
	int n = argc > 1 ? atoi(argv[1]) : 1000;
	int there[2], back[2], status;
	pid_t pid;

	if (pipe(there) != 0 || pipe(back) != 0)
		return 1;
	pid = fork();
	if (pid < 0)
		return 1;
	if (pid == 0) {
		pass(n, there[0], back[1], 0);
		_exit(0);
	}
	pass(n, back[0], there[1], 1);
	if (waitpid(pid, &status, 0) != pid || status != 0)
		return 1;
	printf("%d\n", n);
	return 0;
}
