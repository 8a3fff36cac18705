/*
 * insn.h - a guest instruction, decoded as far as the translator needs it.
 *
 * Zydis does the decoding; this form keeps what copy-and-patch needs: the
 * opcode bytes as they are, which fields name general registers, and the
 * memory operand in pieces.  The kind says which emitter takes it.
 */
#ifndef TTD_CPU_INSN_H
#define TTD_CPU_INSN_H

#include <stdbool.h>
#include <stdint.h>

enum insn_kind {
	K_GENERIC, /* opcode kept, operands patched; touches memory only by ModRM */
	K_NOP,     /* counts, does nothing (hints, fences, cache control) */
	K_LEA,
	K_MOFFS,   /* mov al/ax/eax/rax, [moffs] and back */
	K_BT,      /* bt/bts/btr/btc mem, reg: the bit offset moves the address */
	K_JCC,
	K_LOOP,    /* loop, loope, loopne, jrcxz */
	K_JMP,
	K_JMP_IND,
	K_CALL,
	K_CALL_IND,
	K_RET,
	K_PUSH,
	K_POP,
	K_LEAVE,
	K_STRING,
	K_FROM_SEG, /* mov r32/r64, sreg */
	K_PUSHF,
	K_RDTSC,   /* rdtsc, rdtscp */
	K_FXSAVE,  /* fxsave, fnsave, fnstenv: the FPU's pointers are zeroed */
	K_SYSCALL,
	K_IRET,
	K_TO_SEG,  /* mov sreg, r32/r64, not ss */
	K_SPECIAL, /* leaves translated code; special.c decides what it is */
	K_UD,      /* #UD: invalid or hidden */
	K_NM,      /* #NM: FP instruction with CR0.TS set */
	K_GP,      /* #GP: more than 15 bytes, or a write through cs */
};

/* The six status flags: CF PF AF ZF SF OF. */
#define STATUS_FLAGS 0x8d5u

#define NO_REG (-1)
enum { INSN_MAX = 15 }; /* bytes */

struct insn_mem {
	int8_t base, index; /* enum cpu_reg or NO_REG */
	uint8_t scale;      /* 1, 2, 4, 8 */
	int8_t seg;         /* SEG_FS, SEG_GS, or -1: base zero */
	int8_t named;       /* the segment it is in, should that have a base (BM_BASES) */
	bool rip;           /* relative to the next instruction */
	bool addr32, addr16;
	bool cs;            /* 32-bit code names cs: not writable */
	bool read, write;
	uint16_t size;      /* bytes */
	int64_t disp;
};

enum insn_use { USE_R = 1, USE_W = 2 };

struct insn {
	uint8_t kind; /* enum insn_kind */
	uint8_t len;
	uint8_t looked;    /* how many bytes decided what it is: len, or more of what is none */
	uint16_t off;      /* of its first byte in the page */
	uint16_t mnemonic; /* ZydisMnemonic */
	uint8_t bytes[15];
	uint8_t opcode;    /* last opcode byte */
	uint8_t map;       /* 0: one byte, 1: 0f, 2: 0f 38, 3: 0f 3a */
	uint8_t mandatory; /* f2, f3 or 0 */
	bool opsize;       /* an effective 66 */
	uint8_t rex;       /* the whole byte, 0: none; of a VEX prefix, the same bits */
	bool has_vex;
	uint8_t vex;       /* W vvvv L pp, as the last byte of a long VEX prefix */
	uint8_t near16;    /* a near branch of 32-bit code with 16-bit operands: its kind */
	bool has_modrm, has_mem;
	uint8_t modrm;
	uint8_t imm_off, imm_len;
	int8_t reg, rm, opreg; /* general registers in the three fields, or NO_REG */
	int8_t vreg;       /* and in vvvv */
	uint8_t reg_use, rm_use, opreg_use, vreg_use;
	bool high8;        /* an operand is ah, ch, dh or bh */
	uint8_t width;     /* operand size in bytes */
	bool fp;           /* x87, MMX, SSE or AVX */
	bool x87;          /* of them one that may change x87 or MMX state */
	bool ymm;          /* of them one that may set upper halves of ymm registers */
	bool fp_waits;     /* a pending x87 exception comes first */
	uint16_t fl_read, fl_write; /* status flags */
	bool writes_rsp;
	uint16_t writes;   /* general registers it changes, a bit each */
	struct insn_mem mem;
	int64_t imm;       /* first immediate, sign-extended; branch displacement */
};

/*
 * Decodes from at most n bytes.  0; -1 when the bytes end too early (the
 * instruction crosses the page).  Undecodable ones, and those that need sets which are not
 * in isa (isa.h), are K_UD.  Whoever keeps the result has to notice when one of the bytes
 * looked at changes.
 */
int insn_decode(struct insn *in, const uint8_t *p, unsigned n, bool code64, uint64_t isa);

/* 66 has no effect beside REX.W. */
static inline bool insn_opsize16(const struct insn *in)
{
	return in->opsize && !(in->rex & 8);
}
static inline bool insn_reads_flags(const struct insn *in)
{
	return in->fl_read != 0 || (in->fl_write != 0 && in->fl_write != STATUS_FLAGS);
}
static inline bool insn_ends_block(const struct insn *in)
{
	return (in->kind >= K_LOOP && in->kind <= K_RET) || in->kind >= K_SYSCALL;
}

#endif
