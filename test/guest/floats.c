/*
 * floats.c - x87 and SSE arithmetic: precision and rounding control, denormal
 * and special values, conversions, transcendental functions, long double, and
 * that all of it survives context switches.
 */
#define _GNU_SOURCE
#include <fenv.h>
#include <math.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"

/* A long double has 10 bytes; what follows them is anything. */
static uint64_t add_ld(uint64_t h, long double v)
{
	return digest_add(h, &v, 10);
}

static double random_double(uint64_t *s)
{
	uint64_t v = random_next(s);
	double d;

	if (v % 16 == 0)
		v &= UINT64_C(0x800fffffffffffff); /* denormal */
	else if (v % 16 == 1)
		v |= UINT64_C(0x7ff0000000000000); /* infinity or NaN */
	else
		v = (v & UINT64_C(0x83ffffffffffffff)) | UINT64_C(0x3c00000000000000);
	memcpy(&d, &v, 8);
	return d;
}

static void sse(void)
{
	static const int modes[] = { FE_TONEAREST, FE_UPWARD, FE_DOWNWARD, FE_TOWARDZERO };

	for (unsigned m = 0; m < 4; m++) {
		uint64_t s = m, h = DIGEST_START;
		int flags;

		fesetround(modes[m]);
		feclearexcept(FE_ALL_EXCEPT);
		for (int i = 0; i < 4000; i++) {
			volatile double a = random_double(&s), b = random_double(&s), r[6];
			volatile float f[4];
			volatile int64_t n[3];

			r[0] = a + b; r[1] = a - b; r[2] = a * b; r[3] = a / b;
			r[4] = __builtin_sqrt(a < 0 ? -a : a); r[5] = a < b ? a : b;
			f[0] = (float)a; f[1] = (float)b; f[2] = f[0] * f[1]; f[3] = (float)i / 3;
			__asm__("cvtsd2si %1,%0" : "=r"(n[0]) : "x"(a));
			__asm__("cvttsd2si %1,%0" : "=r"(n[1]) : "x"(b));
			n[2] = a > b;
			h = digest_add(h, (void *)r, sizeof r);
			h = digest_add(h, (void *)f, sizeof f);
			h = digest_add(h, (void *)n, sizeof n);
		}
		flags = fetestexcept(FE_ALL_EXCEPT);
		check(1, "SSE, rounding %u: %llx flags %x", m, (unsigned long long)h, flags);
	}
	fesetround(FE_TONEAREST);
}

static void x87(void)
{
	for (unsigned cw = 0; cw < 16; cw++) {
		unsigned short word = (unsigned short)(0x7f | cw << 8), sw;
		uint64_t s = cw, h = DIGEST_START;

		__asm__ volatile("fninit; fldcw %0" :: "m"(word));
		for (int i = 0; i < 1000; i++) {
			volatile double a = random_double(&s), b = random_double(&s);
			long double x = a, y = b, r[5];
			int64_t n;
			char bcd[10];

			r[0] = x + y; r[1] = x * y; r[2] = x / y;
			__asm__ volatile("fldt %1; fldt %2; fprem; fstpt %0; fstp %%st(0)"
				: "=m"(r[3]) : "m"(y), "m"(x));
			__asm__ volatile("fldt %2; frndint; fld %%st(0); fistpll %0; fstpt %1"
				: "=m"(n), "=m"(r[4]) : "m"(x));
			__asm__ volatile("fldt %1; fbstp %0" : "=m"(bcd) : "m"(x));
			for (int k = 0; k < 5; k++)
				h = add_ld(h, r[k]);
			h = digest_add(digest_add(h, &n, 8), bcd, 10);
			__asm__ volatile("fnstsw %0" : "=a"(sw));
			h = digest_add(h, &sw, 2);
		}
		__asm__ volatile("fninit");
		check(1, "x87, control %x: %llx", cw, (unsigned long long)h);
	}
}

static void functions(void)
{
	uint64_t h = DIGEST_START;

	for (int i = 1; i < 2000; i++) {
		long double x = (long double)i / 37, r[8];

		r[0] = sinl(x); r[1] = cosl(x); r[2] = atan2l(x, 3); r[3] = logl(x);
		r[4] = expl(-x); r[5] = powl(x, 1.25L); r[6] = cbrtl(x); r[7] = tgammal(x / 8);
		for (int k = 0; k < 8; k++)
			h = add_ld(h, r[k]);
	}
	check(1, "long double functions: %llx %.18Lg", (unsigned long long)h, sqrtl(2));
	h = DIGEST_START;
	for (int i = 1; i < 2000; i++) {
		long double x = (long double)i / 2100, r[5];

		__asm__("fsin" : "=t"(r[0]) : "0"(x));
		__asm__("fptan; fstp %%st(0)" : "=t"(r[1]) : "0"(x));
		__asm__("f2xm1" : "=t"(r[2]) : "0"(x));
		__asm__("fyl2x" : "=t"(r[3]) : "0"(x), "u"(1.0L) : "st(1)");
		__asm__("fpatan" : "=t"(r[4]) : "0"(x), "u"(1.0L) : "st(1)");
		for (int k = 0; k < 5; k++)
			h = add_ld(h, r[k]);
	}
	check(1, "x87 functions: %llx", (unsigned long long)h);
}

/* Images of the whole state: save, spoil, restore. */
static void images(void)
{
	uint8_t fx[512] __attribute__((aligned(16))) = { 0 }, fn[108], env[28];
	uint64_t a = 0, b = 0;
	long double t = 0;

	__asm__ volatile("fninit; fldpi; fld1; movq %2,%%xmm5; fxsave64 %0; pxor %%xmm5,%%xmm5;"
		"fninit; fxrstor64 %0; movq %%xmm5,%1; fstp %%st(0); fstpt %3"
		: "+m"(fx), "=r"(a) : "r"(UINT64_C(0x123456789abcdef0)), "m"(t) : "xmm5", "memory");
	check(a == UINT64_C(0x123456789abcdef0) && t > 3.14L && t < 3.15L, "fxsave, fxrstor");
	check(fx[0] == 0x7f && fx[1] == 3 && fx[4] == 0xc0 && (fx[3] & 0x38) == 0x30, "its image");
	__asm__ volatile("fldl2e; fnsave %0; frstor %0; fstpt %1; fldz; fnstenv %2; fstp %%st(0); fldenv %2; fstp %%st(0)"
		: "+m"(fn), "+m"(t), "+m"(env) :: "memory");
	check(t > 1.44L && t < 1.45L, "fnsave, frstor, fnstenv, fldenv");
	__asm__ volatile("movq %1,%%mm3; paddb %%mm3,%%mm3; movq %%mm3,%0; emms" : "=r"(b)
		: "r"(UINT64_C(0x0102030405060708)));
	check(b == UINT64_C(0x020406080a0c0e10), "MMX");
}

/* Several threads with each its own numbers in all registers. */
static void *keeps(void *arg)
{
	uint64_t want = (uint64_t)(long)arg * UINT64_C(0x0101010101010101), sum = 0, x, y;
	long double l = (long double)want, m;

	for (int i = 0; i < 300; i++) {
		__asm__ volatile("movq %3,%%xmm15; movq %3,%%xmm6; fldt %4; mov $24,%%eax; syscall;"
			"movq %%xmm15,%0; movq %%xmm6,%1; fstpt %2"
			: "=r"(x), "=r"(y), "=m"(m) : "r"(want), "m"(l)
			: "rax", "rcx", "r11", "xmm15", "xmm6", "memory");
		sum += x != want || y != want || m != l;
	}
	return (void *)(long)sum;
}

static void switches(void)
{
	pthread_t t[6];
	void *wrong;
	long sum = 0;

	for (long i = 0; i < 6; i++)
		pthread_create(&t[i], NULL, keeps, (void *)(i + 1));
	for (int i = 0; i < 6; i++) {
		pthread_join(t[i], &wrong);
		sum += (long)wrong;
	}
	check(sum == 0, "registers kept over context switches");
}

int main(void)
{
	sse();
	x87();
	functions();
	images();
	switches();
	return check_failed;
}
