/*
 * siphash.h - SipHash-2-4 (Aumasson, Bernstein) of one 64-bit number: who does not know the
 * key cannot tell its values from random ones.
 */
#ifndef TTD_UTIL_SIPHASH_H
#define TTD_UTIL_SIPHASH_H

#include <stdint.h>

#include "util/bytes.h"

static inline uint64_t sip_rotate(uint64_t x, unsigned n) { return x << n | x >> (64 - n); }

static inline void sip_rounds(uint64_t v[4], unsigned n)
{
	while (n-- > 0) {
		v[0] += v[1], v[2] += v[3];
		v[1] = sip_rotate(v[1], 13) ^ v[0];
		v[3] = sip_rotate(v[3], 16) ^ v[2];
		v[0] = sip_rotate(v[0], 32);
		v[2] += v[1], v[0] += v[3];
		v[1] = sip_rotate(v[1], 17) ^ v[2];
		v[3] = sip_rotate(v[3], 21) ^ v[0];
		v[2] = sip_rotate(v[2], 32);
	}
}

static inline uint64_t siphash(const uint8_t key[16], uint64_t number)
{
	const uint64_t k0 = get64(key), k1 = get64(key + 8), length = (uint64_t)8 << 56;
	uint64_t v[4] = { k0 ^ UINT64_C(0x736f6d6570736575), k1 ^ UINT64_C(0x646f72616e646f6d),
		k0 ^ UINT64_C(0x6c7967656e657261), k1 ^ UINT64_C(0x7465646279746573) };

	v[3] ^= number;
	sip_rounds(v, 2);
	v[0] ^= number;
	v[3] ^= length;
	sip_rounds(v, 2);
	v[0] ^= length;
	v[2] ^= 0xff;
	sip_rounds(v, 4);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}

#endif
