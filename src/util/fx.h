/*
 * fx.h - what is where in the image that FXSAVE64 makes.
 */
#ifndef TTD_UTIL_FX_H
#define TTD_UTIL_FX_H

#include <stdint.h>
#include <string.h>

enum {
	FX_FCW = 0,    /* 16 bits each */
	FX_FSW = 2,
	FX_FTW = 4,    /* 8 bits: one for each register that is not empty */
	FX_FOP = 6,    /* the last opcode, */
	FX_FIP = 8,    /* instruction and */
	FX_FDP = 16,   /* data pointer: 8 bytes each */
	FX_MXCSR = 24, /* 32 bits */
	FX_ST = 32,    /* 8 registers, 16 bytes apart */
	FX_XMM = 160,  /* 16 registers */
	FX_STEP = 16,  /* from one register to the next */
	FX_SIZE = 512,
	FX_SIZE32 = 288, /* of it that 32-bit code has: 8 xmm registers */
};

#define FX_FCW_RESET 0x37fu
#define FX_MXCSR_RESET 0x1f80u
#define FX_MXCSR_RESERVED 0xffff0000u /* bits that may not be set */

/* The host's own code moves FOP, FIP and FDP: nobody is shown them. */
static inline void fx_hide_pointers(uint8_t *fx)
{
	memset(fx + FX_FOP, 0, FX_MXCSR - FX_FOP);
}

#endif
