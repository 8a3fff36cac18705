/*
 * blocks.c - 4 KB blocks of a disk, one after the other.
 *
 * In sequence they go through the page cache, as a file's would, and are on the
 * disk when it ends; at random places each is a request of its own (O_DIRECT)
 * that is waited for.  What is read is in the first half, what is written
 * in the second.
 */
#define _GNU_SOURCE /* O_DIRECT */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { BLOCK = 4096, HALF = 16384 /* blocks */ };

static uint64_t state = 88172645463325252u;

static long below(long n)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (long)(state % (uint64_t)n);
}

static uint64_t sum_of(const uint64_t *p)
{
	uint64_t sum = 0;

	for (int i = 0; i < BLOCK / 8; i++)
		sum = sum * 31 + p[i];
	return sum;
}

int main(int argc, char **argv)
{
	int write_it, anywhere, fd;
	uint64_t *p, sum = 0;
	long count;

	if (argc != 4) {
		fprintf(stderr, "usage: blocks DEVICE read|write|rndread|rndwrite COUNT\n");
		return 2;
	}
	write_it = strstr(argv[2], "write") != NULL;
	anywhere = strncmp(argv[2], "rnd", 3) == 0;
	count = atol(argv[3]);
	fd = open(argv[1], (write_it ? O_RDWR : O_RDONLY) | (anywhere ? O_DIRECT : 0));
	if (fd < 0 || posix_memalign((void **)&p, BLOCK, BLOCK) != 0) {
		perror(argv[1]);
		return 1;
	}
	memset(p, 'b', BLOCK);
	for (long i = 0; i < count; i++) {
		long at = (anywhere ? below(HALF) : i % HALF) + (write_it ? HALF : 0);

		p[0] = (uint64_t)i;
		if ((write_it ? pwrite(fd, p, BLOCK, at * BLOCK) : pread(fd, p, BLOCK, at * BLOCK)) != BLOCK) {
			perror(argv[1]);
			return 1;
		}
		sum += sum_of(p);
	}
	if (fsync(fd) != 0) {
		perror(argv[1]);
		return 1;
	}
	printf("%016llx\n", (unsigned long long)sum);
	return 0;
}
