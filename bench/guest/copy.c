/*
 * copy.c - memcpy() in small, middling and large pieces, one third of the
 * bytes each.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { AREA = 4 << 20 };

static unsigned char from[AREA], to[AREA];

int main(int argc, char **argv)
{
	static const size_t piece[] = {48, 4096, 1 << 20};
	int n = argc > 1 ? atoi(argv[1]) : 1;
	unsigned long sum = 0;

	for (size_t i = 0; i < AREA; i++)
		from[i] = (unsigned char)(i * 7);
	for (int r = 0; r < n; r++) {
		size_t size = piece[r % 3];

		for (size_t i = 0; i + size <= AREA; i += size) {
			memcpy(to + i, from + i, size);
			__asm__ volatile("" ::: "memory");
		}
		from[r % AREA]++;
		sum += to[(size_t)r * 4099 % AREA];
	}
	printf("%lu\n", sum);
	return 0;
}
