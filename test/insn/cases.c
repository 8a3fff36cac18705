/*
 * cases.c - runs the hand-written cases: those of hand_*.S, and the engine's
 * own (cases_mem.c, cases_stack.c), which have no native counterpart.
 */
#include <Zydis/Zydis.h>
#include <stdio.h>
#include <string.h>

#include "cases.h"
#include "mem/internal.h"

/* As hand.inc lays them out. */
struct __attribute__((packed)) hand {
	const char *name;
	const uint8_t *code;
	uint32_t start;
	int32_t vec;
	const uint8_t *end;
	uint64_t mode;
};

extern const struct hand __start_hand_cases[], __stop_hand_cases[];

static void split(struct tcase *c, const uint8_t *code, size_t len)
{
	ZydisDecoder dec;

	ZydisDecoderInit(&dec, c->code64 ? ZYDIS_MACHINE_MODE_LONG_64 :
		ZYDIS_MACHINE_MODE_LONG_COMPAT_32, c->code64 ? ZYDIS_STACK_WIDTH_64 :
		ZYDIS_STACK_WIDTH_32);
	for (size_t at = 0; at < len && c->n < MAX_INSN;) {
		ZydisDecodedInstruction zi;
		struct insn *in = &c->in[c->n];
		size_t left = len - at < 15 ? len - at : 15;

		/* What is no instruction is kept as bytes. */
		in->len = (uint8_t)left;
		if (ZYAN_SUCCESS(ZydisDecoderDecodeInstruction(&dec, NULL, code + at, left, &zi))) {
			in->len = zi.length;
			/* Stepping shows in a stored TF, and loading flags ends it. */
			c->no_step |= zi.meta.category == ZYDIS_CATEGORY_PUSH ||
				zi.meta.category == ZYDIS_CATEGORY_POP ?
				(zi.opcode == 0x9c || zi.opcode == 0x9d) : 0;
		}
		memcpy(in->b, code + at, in->len);
		in->group = (uint8_t)c->n++;
		at += in->len;
	}
}

void make_case(struct tcase *c, const uint8_t *code, size_t len, unsigned start, bool code64)
{
	static const uint8_t fx0[32] = { 0x7f, 3, [24] = 0x80, 0x1f };

	memset(c, 0, sizeof(*c));
	c->code64 = code64;
	c->start = start;
	c->gpr[3] = DATA_VA;
	c->gpr[4] = STACK_VA + PAGE;
	c->gpr[6] = DATA_VA + 0x100;
	c->gpr[7] = DATA_VA + 0x800;
	c->fsbase = DATA_VA + 0x40;
	c->gsbase = HIGH_VA + 0x40;
	c->rflags = 0x202;
	memcpy(c->fx, fx0, sizeof(fx0));
	split(c, code, len);
	assemble(c);
	/* The code may change itself: only stepping tells how much was executed. */
	c->branches = 1;
}

/* One case in one mode; `number` selects the extra runs of check.c. */
struct one {
	struct tcase c;
	int vec;
};

static enum verdict run_one(struct rig *rig, void *arg, char *why, size_t size)
{
	struct one *o = arg;
	enum verdict v;
	const struct result *r;

	for (unsigned extra = 0; extra < 2; extra++) {
		o->c.number = extra;
		v = check_case(rig, &o->c, NULL, why, size);
		r = native_result(rig->native, 0);
		if (v == SAME && r->vec != o->vec && !o->c.no_cpu) {
			snprintf(why, size, "vector: expected %d, cpu %d", o->vec, r->vec);
			v = DIFFERENT;
		}
		if (v != SAME)
			return v;
	}
	return v;
}

static bool run_hand(struct rig *rig, const struct hand *h, bool kernel)
{
	static struct one o;
	char why[500];
	enum verdict v;

	if (strcmp(h->name, "int1") == 0 && host.faults_int1)
		return true;
	make_case(&o.c, h->code, (size_t)(h->end - h->code), h->start, !(h->mode & 1));
	o.c.kernel = kernel;
	o.c.check_ad = 1;
	o.c.no_cpu = vendor_decides_hand(h->name);
	o.vec = h->vec;
	v = in_child(rig, run_one, &o, why, sizeof(why));
	if (v == SAME)
		return true;
	if (v == SKIPPED)
		native_run(rig->native, 0); /* the one after it gets another worker */
	printf("FAIL %s (%s mode): %s\n", h->name, kernel ? "kernel" : "user",
		v == SKIPPED ? "the native worker was lost" : why);
	print_case(&o.c);
	return false;
}

static enum verdict run_engine(struct rig *rig, void *arg, char *why, size_t size)
{
	const struct engine_case *ec = arg;
	struct engine *e[2] = { rig->opt, rig->ref };

	for (int i = 0; i < 2; i++) {
		if (!ec->run(e[i], why, size)) {
			size_t n = strlen(why);

			snprintf(why + n, size - n, " (%s)", i ? "reference" : "optimised");
			return DIFFERENT;
		}
		mem_check(engine_mem(e[i]));
	}
	return SAME;
}

static unsigned run_engine_cases(struct rig *rig, const struct engine_case *cases,
	const char *only, unsigned *ran)
{
	char why[500];
	unsigned failed = 0;

	for (; rig->engines && cases->name != NULL; cases++) {
		struct engine_case ec = *cases;

		if (only && !strstr(ec.name, only))
			continue;
		++*ran;
		if (in_child(rig, run_engine, &ec, why, sizeof(why)) == SAME)
			continue;
		printf("FAIL %s: %s\n", ec.name, why);
		failed++;
	}
	return failed;
}

unsigned run_hand_cases(struct rig *rig, const char *only, unsigned *ran)
{
	unsigned failed = 0;

	*ran = 0;
	for (const struct hand *h = __start_hand_cases; h < __stop_hand_cases; h++) {
		if (only && !strstr(h->name, only))
			continue;
		if (test_isa() == 0 && strncmp(h->name, "avx-", 4) == 0)
			continue;
		++*ran;
		failed += !(run_hand(rig, h, false) && ((h->mode & 1) || run_hand(rig, h, true)));
	}
	return failed + run_engine_cases(rig, mem_cases, only, ran) +
		run_engine_cases(rig, stack_cases, only, ran);
}
