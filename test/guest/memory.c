/*
 * memory.c - page tables under change: mmap, mprotect, mremap, madvise, fork
 * and copy on write, shared mappings, a big heap.  Every page holds a number
 * made from its place and age, and is looked at again after each change.
 */
#define _GNU_SOURCE
#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"

enum { PAGES = 256, P = 4096 };

static sigjmp_buf back;

static void segv(int sig)
{
	(void)sig;
	siglongjmp(back, 1);
}

static int writable(volatile char *p)
{
	if (sigsetjmp(back, 1) != 0)
		return 0;
	*p = *p;
	return 1;
}

static int readable(volatile char *p)
{
	if (sigsetjmp(back, 1) != 0)
		return 0;
	(void)*p;
	return 1;
}

static char *map(size_t n, int flags)
{
	char *p = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_ANONYMOUS | flags, -1, 0);

	if (p == MAP_FAILED)
		exit(2);
	return p;
}

static void fill(char *p, uint64_t seed)
{
	for (int i = 0; i < PAGES; i++)
		*(uint64_t *)(void *)(p + i * P + 8 * (i % 500)) = seed * 1000003 + (unsigned)i;
}

static int filled(const char *p, uint64_t seed)
{
	for (int i = 0; i < PAGES; i++)
		if (*(const uint64_t *)(const void *)(p + i * P + 8 * (i % 500)) != seed * 1000003 + (unsigned)i)
			return 0;
	return 1;
}

static void protection(void)
{
	char *p = map(PAGES * P, MAP_PRIVATE);
	uint64_t state = 3;
	int prot[PAGES], right = 1;

	fill(p, 1);
	for (int i = 0; i < PAGES; i++)
		prot[i] = PROT_READ | PROT_WRITE;
	for (int n = 0; n < 2000; n++) {
		static const int kinds[] = { PROT_NONE, PROT_READ, PROT_READ | PROT_WRITE };
		int i = (int)(random_next(&state) % PAGES), k = (int)(random_next(&state) % 3);
		int j = (int)(random_next(&state) % PAGES);

		mprotect(p + i * P, P, prot[i] = kinds[k]);
		right &= writable(p + i * P) == (k == 2) && readable(p + i * P) == (k != 0);
		right &= writable(p + j * P) == (prot[j] == (PROT_READ | PROT_WRITE));
	}
	mprotect(p, PAGES * P, PROT_READ);
	check(right && filled(p, 1), "mprotect at random");
	munmap(p, PAGES * P);
	right = 1;
	for (int i = 0; i < PAGES; i += 7)
		right &= !readable(p + i * P);
	check(right, "nothing there after munmap");
}

static void copies(void)
{
	char *p = map(PAGES * P, MAP_PRIVATE), *s = map(PAGES * P, MAP_SHARED);
	int status, right = 1;

	fill(p, 10);
	fill(s, 10);
	for (int n = 0; n < 20; n++) {
		if (fork() == 0) {
			int ok = filled(p, 10 + (unsigned)n);

			fill(p, 99);
			if (fork() == 0) {
				ok = ok && filled(p, 99);
				fill(p, 77);
				fill(s, 11 + (unsigned)n);
				_exit(!(ok && filled(p, 77)));
			}
			wait(&status);
			_exit(!(ok && status == 0 && filled(p, 99)));
		}
		wait(&status);
		right &= status == 0 && filled(p, 10 + (unsigned)n) && filled(s, 11 + (unsigned)n);
		fill(p, 11 + (unsigned)n);
	}
	check(right, "fork, copy on write, shared pages");
	munmap(s, PAGES * P);
	munmap(p, PAGES * P);
}

static void moves(void)
{
	char *p = map(PAGES * P, MAP_PRIVATE), *q;
	uint64_t state = 5;
	int right = 1;

	fill(p, 5);
	for (int n = 0; n < 30; n++) {
		q = map(PAGES * P, MAP_PRIVATE);
		q = mremap(p, PAGES * P, PAGES * P, MREMAP_MAYMOVE | MREMAP_FIXED, q);
		right &= q != MAP_FAILED && filled(q, 5);
		p = q;
	}
	check(right, "mremap");
	for (int n = 0; n < 300; n++) {
		int i = (int)(random_next(&state) % PAGES);

		p[i * P + 4000] = 1;
		madvise(p + i * P, P, MADV_DONTNEED);
		right &= p[i * P + 4000] == 0;
	}
	check(right, "MADV_DONTNEED gives zeros");
	munmap(p, PAGES * P);
	p = map(8 << 20, MAP_PRIVATE);
	madvise(p, 8 << 20, MADV_HUGEPAGE);
	for (int i = 0; i < 8 << 20; i += P)
		right &= p[i] == 0 && (p[i] = 1);
	check(right, "8 MB of new pages are zero");
	munmap(p, 8 << 20);
}

static void aliases(void)
{
	int fd = memfd_create("alias", 0), right = 1;
	char *a[8];

	if (ftruncate(fd, P) != 0)
		exit(2);
	for (int i = 0; i < 8; i++)
		a[i] = mmap(NULL, P, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	for (int n = 0; n < 4000; n++) {
		a[n % 8][n] = (char)n;
		right &= a[(n * 5 + 3) % 8][n] == (char)n;
	}
	check(right, "eight views of one page");
	close(fd);
}

static void heap(void)
{
	enum { N = 400 };
	unsigned char *block[N] = { 0 };
	size_t size[N] = { 0 };
	uint64_t state = 9, h = DIGEST_START;
	int right = 1;

	for (int n = 0; n < 6000; n++) {
		unsigned i = (unsigned)(random_next(&state) % N);

		for (size_t k = 0; k < size[i]; k += 509)
			right &= block[i][k] == (unsigned char)(i + k);
		size[i] = random_next(&state) % (n % 50 == 0 ? 300000 : 3000);
		block[i] = realloc(block[i], size[i] + 1);
		for (size_t k = 0; k < size[i]; k++)
			block[i][k] = (unsigned char)(i + k);
		h = digest_add(h, &size[i], 8);
	}
	for (int i = 0; i < N; i++)
		free(block[i]);
	check(right, "heap: %llx", (unsigned long long)h);
}

/* Unaligned and page-crossing accesses, of all the widths that there are. */
static void crossings(void)
{
	char *p = map(3 * P, MAP_PRIVATE);
	uint64_t state = 1, h = DIGEST_START;
	int right = 1;

	for (int i = 0; i < 3 * P; i++)
		p[i] = (char)(i * 7);
	for (int n = -40; n < 40; n++) {
		char *q = p + P + n;
		uint64_t v = random_next(&state), old;
		unsigned short w;
		unsigned u;

		memcpy(&old, q, 8);
		__asm__ volatile("lock xaddq %0,%1" : "+r"(v), "+m"(*(uint64_t *)(void *)q));
		right &= v == old;
		__asm__ volatile("movdqu %1,%%xmm0; paddq %%xmm0,%%xmm0; movdqu %%xmm0,%1"
			: "+m"(*(__int128 *)(void *)q) : "m"(*(__int128 *)(void *)q) : "xmm0");
		__asm__ volatile("fldt %0; fchs; fstpt %0" : "+m"(*(long double *)(void *)q));
		__asm__ volatile("btsl $13,%0; rolw $3,%1; negl %2" : "+m"(*(uint32_t *)(void *)q),
			"+m"(*(uint16_t *)(void *)(q + 1)), "+m"(*(uint32_t *)(void *)(q + 2)) :: "cc");
		memcpy(&w, q, 2);
		memcpy(&u, q + 1, 4);
		h = digest_add(digest_add(h, &w, 2), &u, 4);
		memmove(p + 100 + n, p + 50, P * 2);
		memcpy(p + P - 300 - n, p + 10, 200);
	}
	h = digest_add(h, p, 3 * P);
	check(right, "accesses across pages: %llx", (unsigned long long)h);
	munmap(p, 3 * P);
}

int main(void)
{
	signal(SIGSEGV, segv);
	protection();
	copies();
	moves();
	aliases();
	heap();
	crossings();
	return check_failed;
}
