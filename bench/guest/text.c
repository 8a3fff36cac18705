/*
 * text.c - writes the given number of lines of made-up text, always the same.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

static const char *const words[] = {
	"time", "machine", "guest", "page", "table", "record", "replay", "clock", "branch",
	"count", "event", "channel", "grant", "memory", "frame", "block", "trace", "debug",
	"kernel", "process", "signal", "stack", "pointer", "instruction", "exception", "a",
	"the", "of", "to", "in", "and", "is",
};

int main(int argc, char **argv)
{
	long lines = argc > 1 ? atol(argv[1]) : 10;
	uint64_t x = 88172645463325252u;

	while (lines-- > 0) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		printf("%06u", (unsigned)(x >> 20) % 1000000);
		for (int i = 0; i < 10; i++)
			printf(" %s", words[x >> (5 * i) & 31]);
		putchar('\n');
	}
	return ferror(stdout) != 0;
}
