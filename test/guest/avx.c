/*
 * avx.c - what a program sees of x86-64-v3: the C library's choices by CPUID, ymm registers
 * that outlive system calls, signals and other processes, numbers from rdrand.
 */
#include <immintrin.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ROUNDS = 200, SIZE = 1 << 16 };

static volatile sig_atomic_t signals;

/* Leaves other values in all ymm registers that it can. */
__attribute__((target("avx2"))) static void on_signal(int sig)
{
	__asm__ volatile("vpcmpeqd %%ymm0, %%ymm0, %%ymm0; vpcmpeqd %%ymm7, %%ymm7, %%ymm7;"
		"vpcmpeqd %%ymm8, %%ymm8, %%ymm8; vpcmpeqd %%ymm15, %%ymm15, %%ymm15"
		: : : "xmm0", "xmm7", "xmm8", "xmm15");
	signals = sig;
}

/* A value in ymm registers, while something happens: does it stay? */
__attribute__((target("avx2"))) static int stays(uint64_t value, long call, long a, long b)
{
	uint64_t in[4] = { value, ~value, value * 3, value * 5 }, out[8] = { 0 };
	long rc = call; /* what it returns does not matter */

	__asm__ volatile("vmovdqu (%1), %%ymm7; vmovdqu (%1), %%ymm15; syscall;"
		"vmovdqu %%ymm7, (%2); vmovdqu %%ymm15, 32(%2)"
		: "+a"(rc) : "r"(in), "r"(out), "D"(a), "S"(b)
		: "rcx", "r11", "xmm7", "xmm15", "memory");
	return memcmp(in, out, 32) == 0 && memcmp(in, out + 4, 32) == 0;
}

/* Two processes with values of their own, which take turns. */
static int take_turns(void)
{
	enum { YIELD = 24, KILL = 62 };
	pid_t child = fork();
	int ok = 1, status = 0;

	for (int i = 0; i < ROUNDS; i++) {
		ok &= stays((uint64_t)getpid() << 32 | (unsigned)i, YIELD, 0, 0);
		ok &= stays((unsigned)i * UINT64_C(0x9e3779b97f4a7c15), KILL, getpid(), SIGUSR1);
	}
	if (child == 0)
		_exit(ok ? 0 : 1);
	return waitpid(child, &status, 0) == child && status == 0 && ok && signals == SIGUSR1;
}

__attribute__((target("avx2,fma,bmi,bmi2,f16c"))) static uint64_t compute(const uint8_t *p)
{
	__m256i sum = _mm256_setzero_si256();
	__m256 f = _mm256_set1_ps(1.0f);
	uint64_t v[4], h = 0;

	for (int i = 0; i < SIZE; i += 32) {
		__m256i x = _mm256_loadu_si256((const __m256i *)(const void *)(p + i));

		sum = _mm256_add_epi64(sum, _mm256_sad_epu8(x, _mm256_setzero_si256()));
		f = _mm256_fmadd_ps(f, _mm256_set1_ps(0.999f), _mm256_cvtepi32_ps(_mm256_srli_epi32(x, 24)));
		h ^= _pext_u64((uint64_t)_mm256_extract_epi64(x, 1), 0x00ff00ff00ff00ff);
		h = (h << 7 | h >> 57) +
			_tzcnt_u64((uint64_t)_mm256_extract_epi64(x, 2));
	}
	_mm256_storeu_si256((__m256i *)(void *)v, sum);
	return h ^ v[0] ^ v[1] ^ v[2] ^ v[3] ^ (uint64_t)_mm256_cvtss_f32(f);
}

__attribute__((target("rdrnd"))) static int random_numbers(unsigned long long v[2])
{
	return _rdrand64_step(&v[0]) && _rdrand64_step(&v[1]) && v[0] != v[1];
}

int main(void)
{
	static uint8_t a[SIZE], b[SIZE + 64];
	unsigned long long r[2] = { 0 };
	struct sigaction sa = { .sa_handler = on_signal };
	int moved = 1, random;

	sigaction(SIGUSR1, &sa, NULL);
	for (int i = 0; i < SIZE; i++)
		a[i] = (uint8_t)(i * 7 + (i >> 8));
	for (int k = 0; k < 64; k++) {
		memcpy(b + k, a, SIZE);
		moved &= memcmp(b + k, a, SIZE) == 0 && memchr(b + k, 0, SIZE) != NULL;
	}
	if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma") ||
	    !__builtin_cpu_supports("bmi2")) {
		puts("avx: none is shown");
		return 0;
	}
	random = random_numbers(r);
	printf("avx: memory %s, turns %s, random %s, sum %016llx, rdrand %016llx\n", moved ? "ok" : "BAD",
		take_turns() ? "ok" : "BAD", random ? "ok" : "BAD",
		(unsigned long long)compute(a), r[0]);
	return 0;
}
