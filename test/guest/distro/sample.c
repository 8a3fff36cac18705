/* sample.c - a program for the guest's gcc and gdb. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static int data[20000], watched;

static int compare(const void *a, const void *b)
{
	return *(const int *)a - *(const int *)b;
}

static int fact(int n)
{
	watched += n;
	return n < 2 ? 1 : n * fact(n - 1);
}

int main(void)
{
	unsigned x = 1;
	double s = 0;

	for (int i = 0; i < 20000; i++) {
		x = x * 1103515245 + 12345;
		data[i] = (int)(x >> 8);
	}
	qsort(data, 20000, sizeof data[0], compare);
	for (int i = 1; i < 20000; i++)
		if (data[i - 1] > data[i])
			return 1;
	for (int i = 1; i < 100000; i++)
		s += sin(i) / i;
	printf("sorted %d %d sum %.12f fact %d\n", data[0], data[19999], s, fact(10));
	if (getenv("CRASH") != NULL)
		*(volatile int *)0x1234 = 1;
	return 0;
}
