/*
 * jit.c - code that changes while it runs: rewritten in place, through a
 * second mapping, under its own feet, across page ends, and by another thread.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"

typedef int (*fn)(int);

static uint8_t *rwx(size_t n)
{
	uint8_t *p = mmap(NULL, n, PROT_READ | PROT_WRITE | PROT_EXEC,
		MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		exit(2);
	return p;
}

/* lea imm(%rdi),%eax; ret */
static void put_add(uint8_t *p, int imm)
{
	static const uint8_t code[] = { 0x8d, 0x87, 0, 0, 0, 0, 0xc3 };

	memcpy(p, code, sizeof code);
	memcpy(p + 2, &imm, 4);
}

static fn function(uint8_t *p)
{
	fn f;

	memcpy(&f, &p, sizeof f);
	return f;
}

static void rewrite(void)
{
	uint8_t *p = rwx(8192);
	uint64_t sum = 0;
	int right = 1;

	for (int i = 0; i < 5000; i++) {
		int n;

		put_add(p, i);
		n = function(p)(7);
		right &= n == i + 7;
		sum = sum * 31 + (unsigned)n;
	}
	check(right, "code rewritten 5000 times: %llx", (unsigned long long)sum);
	right = 1;
	for (int i = 0; i < 2000; i++) {
		put_add(p + 4096 - 1 - i % 6, i); /* straddles two pages */
		right &= function(p + 4096 - 1 - i % 6)(1) == i + 1;
	}
	check(right, "code across a page end");
	/* Data beside code, written at each turn, must not change what runs. */
	put_add(p, 3);
	right = 1;
	for (int i = 0; i < 20000; i++) {
		p[64 + i % 4000] = (uint8_t)i;
		right &= function(p)(i) == i + 3;
	}
	check(right, "data in the page of code");
	munmap(p, 8192);
}

static void two_views(void)
{
	int fd = memfd_create("code", 0);
	uint8_t *w, *x[2];
	int right = 1;

	if (ftruncate(fd, 4096) != 0)
		exit(2);
	w = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	x[0] = mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_SHARED, fd, 0);
	x[1] = mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_SHARED, fd, 0);
	for (int i = 0; i < 5000; i++) {
		put_add(w + i % 100, i * 3);
		right &= function(x[i & 1] + i % 100)(i) == i * 4;
		right &= function(x[~i & 1] + i % 100)(1) == i * 3 + 1;
	}
	check(right, "code written through another mapping");
	for (int i = 0; i < 500; i++) {
		uint8_t code[7];

		put_add(code, i);
		if (pwrite(fd, code, sizeof code, 0) != sizeof code)
			exit(2);
		right &= function(x[i & 1])(0) == i;
	}
	check(right, "code written by the kernel");
	munmap(w, 4096);
	for (int i = 0; i < 300; i++) {
		int fd2 = memfd_create("other", 0);
		uint8_t code[7];

		put_add(code, i * 11);
		if (pwrite(fd2, code, sizeof code, 0) != sizeof code)
			exit(2);
		mmap(x[0], 4096, PROT_READ | PROT_EXEC, MAP_SHARED | MAP_FIXED, fd2, 0);
		right &= function(x[0])(1) == i * 11 + 1;
		close(fd2);
	}
	check(right, "another file mapped over code");
	close(fd);
}

/*
 * One page of code at two addresses, by turns and each for long: its call to the next
 * page comes to another function at each; and to yet another when that is replaced.
 * xor %edi,%edi; call next; mov %eax,%edi; call next; ret - the sum of what it adds.
 */
static void neighbours(void)
{
	static const uint8_t code[] = { 0x31, 0xff, 0xe8, 0xf9, 0x0f, 0, 0, 0x89, 0xc7, 0xe8, 0xf2, 0x0f,
		0, 0, 0xc3 };
	int fd = memfd_create("caller", 0), right = 1;
	uint8_t *x[2];

	if (pwrite(fd, code, sizeof code, 0) != sizeof code || ftruncate(fd, 4096) != 0)
		exit(2);
	for (int i = 0; i < 2; i++) {
		x[i] = rwx(8192);
		mmap(x[i], 4096, PROT_READ | PROT_EXEC, MAP_SHARED | MAP_FIXED, fd, 0);
		put_add(x[i] + 4096, 1 + i);
	}
	for (int i = 0; i < 20000; i++)
		right &= function(x[i / 1000 & 1])(0) == 2 + 2 * (i / 1000 & 1);
	check(right, "calls from one page that stands at two addresses, by turns of 1000");
	for (int i = 0; i < 20000; i++)
		right &= function(x[i & 1])(0) == 2 + 2 * (i & 1);
	check(right, "and by turns of 1");
	for (int i = 0; i < 50; i++) {
		mmap(x[0] + 4096, 4096, PROT_READ | PROT_WRITE | PROT_EXEC,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
		put_add(x[0] + 4096, i);
		for (int k = 0; k < 200; k++)
			right &= function(x[0])(0) == 2 * i;
	}
	check(right, "another page put where it calls to");
	for (int i = 0; i < 50; i++) {
		uint8_t *from = x[0];

		for (int k = 0; k < 8192; k += 4096)
			right &= mremap(from + k, 4096, 4096, MREMAP_MAYMOVE | MREMAP_FIXED, x[1] + k) ==
				x[1] + k;
		x[0] = x[1];
		x[1] = mmap(from, 8192, PROT_READ | PROT_WRITE | PROT_EXEC,
			MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		for (int k = 0; k < 200; k++)
			right &= function(x[0])(0) == 2 * 49;
	}
	check(right, "code moved to another address");
	close(fd);
}

/* From the end of a page, as far as a displacement reaches: mov, and jmp. */
static void far_away(void)
{
	static const uint8_t load[] = { 0x8b, 0x05, 0xff, 0xff, 0xff, 0x7f, 0xc3 };
	static const uint8_t jump[] = { 0xe9, 0xff, 0xff, 0xff, 0x7f };
	const int prot = PROT_READ | PROT_WRITE | PROT_EXEC;
	uint8_t *p = mmap((void *)0x200000000, 4096, prot,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
	uint8_t *q = mmap(p + 0x80000000, 4096, prot,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
	const int value = 0x12345678;
	int right = 1;

	memcpy(p + 0xff0, load, sizeof load);
	memcpy(q + 0xff5, &value, sizeof value);
	check(function(p + 0xff0)(0) == value, "a load from 2 GB away");
	memcpy(p + 0xff0, jump, sizeof jump);
	put_add(q + 0xff4, 5);
	for (int i = 0; i < 100; i++)
		right &= function(p + 0xff0)(i) == i + 5;
	check(right, "a jump to 2 GB away");
}

/*
 * A store into the very next instruction, in one straight line of code:
 * mov byte [rip+1],42 ; mov $0,%eax ; ret - must return 42.
 */
static void own_feet(void)
{
	static const uint8_t next[] = { 0xc6, 0x05, 1, 0, 0, 0, 42, 0xb8, 0, 0, 0, 0, 0xc3 };
	/* A loop that raises the immediate it adds: xor %eax,%eax; mov $100,%ecx;
	   1: add $1,%eax (05 imm32); incb -4(%rip); loop 1b; ret */
	static const uint8_t loop[] = { 0x31, 0xc0, 0xb9, 100, 0, 0, 0, 0x05, 1, 0, 0, 0,
		0xfe, 0x05, 0xf6, 0xff, 0xff, 0xff, 0xe2, 0xf3, 0xc3 };
	/* rep stosb over itself and what follows: mov $imm changes. */
	static const uint8_t rep[] = { 0x48, 0x8d, 0x3d, 3, 0, 0, 0, 0xf3, 0xaa, 0xb8, 0, 0, 0, 0, 0xc3 };
	uint8_t *p = rwx(4096);
	int right = 1, n;

	for (int i = 0; i < 200; i++) {
		memcpy(p, next, sizeof next);
		p[6] = (uint8_t)i;
		right &= function(p)(0) == (i & 255);
	}
	check(right, "a store into the next instruction");
	memcpy(p, loop, sizeof loop);
	n = function(p)(0);
	check(n == 5050, "a loop that changes itself: %d", n);
	right = 1;
	for (int i = 0; i < 100; i++) {
		memcpy(p, rep, sizeof rep);
		__asm__ volatile("mov $4,%%ecx; mov %[v],%%eax; call *%[p]"
			: "=&a"(n) : [v] "r"(i), [p] "r"(p) : "rcx", "rdi", "memory", "cc");
		right &= n == i * 0x01010101;
	}
	check(right, "rep stosb into the next instruction");
	munmap(p, 4096);
}

static uint8_t *shared;
static volatile int stop;

static void *writer(void *arg)
{
	(void)arg;
	for (int i = 1; !stop; i++) {
		__atomic_store_n((uint64_t *)(void *)shared,
			UINT64_C(0x9090c300000000b8) | (uint64_t)(i & 0x7f) * 0x010101 << 8, __ATOMIC_SEQ_CST);
		if (i % 64 == 0)
			sched_yield();
	}
	return NULL;
}

static void threads(void)
{
	pthread_t t;
	int right = 1;

	shared = rwx(4096);
	put_add(shared, 0);
	*(uint64_t *)(void *)shared = UINT64_C(0x9090c300000000b8);
	pthread_create(&t, NULL, writer, NULL);
	for (int i = 0; i < 20000; i++) {
		int n = function(shared)(0);

		right &= (n & 0xff) == (n >> 8 & 0xff) && (n & 0xff) == (n >> 16 & 0xff);
	}
	stop = 1;
	pthread_join(t, NULL);
	check(right, "code changed by another thread");
}

/* Copy on write of code: parent and child change the same page apart. */
static void forks(void)
{
	uint8_t *p = rwx(4096);
	int status, right = 1;

	for (int i = 0; i < 50; i++) {
		put_add(p, i);
		right &= function(p)(0) == i;
		if (fork() == 0) {
			int ok = function(p)(0) == i;

			put_add(p, 1000 + i);
			ok &= function(p)(0) == 1000 + i;
			_exit(!ok);
		}
		wait(&status);
		right &= status == 0 && function(p)(0) == i;
	}
	check(right, "code copied on write");
}

int main(void)
{
	rewrite();
	two_views();
	neighbours();
	far_away();
	own_feet();
	threads();
	forks();
	return check_failed;
}
