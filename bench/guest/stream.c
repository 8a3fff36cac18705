/*
 * stream.c - a TCP connection to bench/server.py: megabytes from it or to it,
 * or small requests, each sent when the one before was answered.
 */
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { PIECE = 1 << 16, REQUEST = 64, MB = 1 << 20 };

static uint64_t words[PIECE / 8];

static int receive(int fd, size_t n)
{
	char *p = (char *)words;

	while (n > 0) {
		ssize_t k = read(fd, p, n);

		if (k <= 0)
			return -1;
		p += k;
		n -= (size_t)k;
	}
	return 0;
}

static uint64_t sum_of(size_t n)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < n / 8; i++)
		sum += words[i];
	return sum;
}

static int transfer(int fd, char what, long count)
{
	size_t piece = what == 'R' ? REQUEST : PIECE;
	long pieces = what == 'R' ? count : count * (MB / PIECE);
	uint64_t sum = 0;

	for (long i = 0; i < pieces; i++) {
		if ((what == 'U' || what == 'R') && write(fd, words, piece) != (ssize_t)piece)
			return -1;
		if (what != 'U' && receive(fd, piece) != 0)
			return -1;
		sum += sum_of(piece);
	}
	if (what == 'U' && receive(fd, 8) != 0) /* that all has arrived */
		return -1;
	printf("%016llx\n", (unsigned long long)sum);
	return 0;
}

int main(int argc, char **argv)
{
	struct sockaddr_in to = { .sin_family = AF_INET };
	int fd = socket(AF_INET, SOCK_STREAM, 0), one = 1, n;
	char line[64];

	if (argc != 5 || inet_pton(AF_INET, argv[1], &to.sin_addr) != 1) {
		fprintf(stderr, "usage: stream ADDRESS PORT download|text|upload|request COUNT\n");
		return 2;
	}
	to.sin_port = htons((uint16_t)atoi(argv[2]));
	n = snprintf(line, sizeof line, "%c %ld\n", argv[3][0] & ~32, atol(argv[4]));
	if (fd < 0 || setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one) != 0 ||
		connect(fd, (struct sockaddr *)&to, sizeof to) != 0 || write(fd, line, (size_t)n) != n ||
		transfer(fd, argv[3][0] & ~32, atol(argv[4])) != 0) {
		perror("stream");
		return 1;
	}
	return 0;
}
