/*
 * clocks.c - time and the CPU as programs see them: the TSC, the vDSO against
 * system calls, sleeping, CPUID against what the instructions then do.
 */
#define _GNU_SOURCE
#include <cpuid.h>
#include <sched.h>
#include <sys/auxv.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>
#include <x86intrin.h>

#include "check.h"

static int64_t nanoseconds(const struct timespec *t)
{
	return (int64_t)t->tv_sec * 1000000000 + t->tv_nsec;
}

static int64_t now(clockid_t id)
{
	struct timespec t;

	clock_gettime(id, &t);
	return nanoseconds(&t);
}

static int64_t now_syscall(clockid_t id)
{
	struct timespec t;

	syscall(SYS_clock_gettime, id, &t);
	return nanoseconds(&t);
}

static void counters(void)
{
	uint64_t last = __rdtsc(), t;
	unsigned aux;
	int right = 1;

	for (int i = 0; i < 20000; i++) {
		t = i % 3 == 0 ? __rdtscp(&aux) : __rdtsc();
		right &= t >= last;
		last = t;
		if (i % 500 == 0)
			getppid();
	}
	check(right, "the TSC never goes back");
}

static void clocks(void)
{
	static const clockid_t ids[] = { CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_BOOTTIME,
		CLOCK_MONOTONIC_RAW };
	struct timeval tv;
	int right = 1;

	for (unsigned k = 0; k < sizeof ids / sizeof *ids; k++) {
		int64_t a = now(ids[k]);

		for (int i = 0; i < 2000; i++) {
			int64_t b = i % 2 == 0 ? now_syscall(ids[k]) : now(ids[k]);

			right &= b >= a;
			a = b;
		}
	}
	check(right, "vDSO and system call clocks agree and never go back");
	gettimeofday(&tv, NULL);
	check(tv.tv_sec > 1500000000 && llabs((long long)tv.tv_sec - (long long)time(NULL)) <= 1,
		"gettimeofday");
	check(getauxval(AT_SYSINFO_EHDR) != 0, "there is a vDSO");
}

static void sleeping(void)
{
	int right = 1;

	for (int i = 0; i < 20; i++) {
		struct timespec t = { 0, 1000000 + i * 100000 };
		int64_t a = now(CLOCK_MONOTONIC), b;

		nanosleep(&t, NULL);
		b = now(CLOCK_MONOTONIC);
		right &= b - a >= nanoseconds(&t) && b - a < nanoseconds(&t) + 500000000;
	}
	check(right, "nanosleep takes its time");
}

/* What CPUID offers must work, and what the guest's policy hides stay hidden. */
static void features(void)
{
	unsigned a, b, c, d, e1c, same = 1;

	__cpuid(1, a, b, e1c, d);
	check((d & bit_SSE2) && (d & bit_FXSAVE) && (d & bit_CMOV), "SSE2, FXSAVE, CMOV");
	if (e1c & bit_SSE4_2) {
		uint32_t crc = 0xffffffff;

		__asm__("crc32b %1,%0" : "+r"(crc) : "rm"((uint8_t)'a'));
		same &= ~crc == 0xc1d04330;
	}
	if (e1c & bit_POPCNT) {
		uint64_t n = 0xf0f0;

		__asm__("popcnt %0,%0" : "+r"(n) :: "cc");
		same &= n == 8;
	}
	check(same, "SSE4.2, POPCNT");
	for (int i = 0; i < 100; i++) {
		unsigned a2, b2, c2, d2;

		__cpuid(1, a2, b2, c2, d2);
		same &= a2 == a && c2 == e1c && d2 == d;
	}
	check(same, "CPUID always says the same");
	__cpuid(0x80000001, a, b, c, d);
	check((d & 1u << 29) != 0 && (d & 1u << 20) != 0, "long mode, NX");
	check(sched_getcpu() >= 0, "getcpu");
}

int main(void)
{
	counters();
	clocks();
	sleeping();
	features();
	return check_failed;
}
