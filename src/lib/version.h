/*
 * version.h - what a trace must agree with to be replayed by this program.
 */
#ifndef TTD_LIB_VERSION_H
#define TTD_LIB_VERSION_H

enum {
	/* One more whenever the same log would execute differently: instruction
	 * or branch counting, emulated instructions, the order of the run loop. */
	ENGINE_VERSION = 2,
	/* One more whenever the guest is shown another Xen: CPUID policy,
	 * hypercall results, start-of-day layout, xenstore contents. */
	ABI_VERSION = 2,
};

#endif
