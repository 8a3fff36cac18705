/*
 * gpr.h - the general registers of x86-64 and their names, in the order of their numbers.
 */
#ifndef TTD_UTIL_GPR_H
#define TTD_UTIL_GPR_H

#define GPRS(X) \
	X(rax, 0) X(rcx, 1) X(rdx, 2) X(rbx, 3) X(rsp, 4) X(rbp, 5) X(rsi, 6) X(rdi, 7) \
	X(r8, 8) X(r9, 9) X(r10, 10) X(r11, 11) X(r12, 12) X(r13, 13) X(r14, 14) X(r15, 15)

extern const char *const gpr_names[16];

#endif
