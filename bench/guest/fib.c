/*
 * fib.c - call-heavy: a recursion that does little but call and return.
 */
#include <stdio.h>
#include <stdlib.h>

static __attribute__((noinline, noclone)) unsigned long fib(unsigned n)
{
	if (n < 2)
		return n;
	return fib(n - 1) + fib(n - 2);
}

int main(int argc, char **argv)
{
	printf("%lu\n", fib(argc > 1 ? (unsigned)atoi(argv[1]) : 30));
	return 0;
}
