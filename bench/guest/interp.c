/*
 * interp.c - heavy in indirect jumps: a threaded bytecode interpreter counts
 * the steps of all Collatz sequences up to a bound.
 */
#include <stdio.h>
#include <stdlib.h>

enum op { PUSH, LOAD, STORE, ADD, MUL, HALF, ODD, LESS, JZ, JMP, END };
enum var { N, BOUND, X, STEPS, VARS };

/* The number before a line is the place of its first word, for the jumps. */
static const int program[] = {
	/*  0 */ LOAD, N, LOAD, BOUND, LESS, JZ, 58,
	/*  7 */ LOAD, N, STORE, X,
	/* 11 */ PUSH, 1, LOAD, X, LESS, JZ, 49,
	/* 18 */ LOAD, STEPS, PUSH, 1, ADD, STORE, STEPS,
	/* 25 */ LOAD, X, ODD, JZ, 42,
	/* 30 */ LOAD, X, PUSH, 3, MUL, PUSH, 1, ADD, STORE, X, JMP, 11,
	/* 42 */ LOAD, X, HALF, STORE, X, JMP, 11,
	/* 49 */ LOAD, N, PUSH, 1, ADD, STORE, N, JMP, 0,
	/* 58 */ END,
};

static long run(const int *code, long *var)
{
	static const void *const at[] = {
		[PUSH] = &&push, [LOAD] = &&load, [STORE] = &&store, [ADD] = &&add,
		[MUL] = &&mul, [HALF] = &&half, [ODD] = &&odd, [LESS] = &&less,
		[JZ] = &&jz, [JMP] = &&jmp, [END] = &&end,
	};
	long stack[16], *sp = stack;
	const int *pc = code;

#define NEXT goto *at[*pc++]
	NEXT;
push:	*sp++ = *pc++; NEXT;
load:	*sp++ = var[*pc++]; NEXT;
store:	var[*pc++] = *--sp; NEXT;
add:	sp--; sp[-1] += *sp; NEXT;
mul:	sp--; sp[-1] *= *sp; NEXT;
half:	sp[-1] /= 2; NEXT;
odd:	sp[-1] &= 1; NEXT;
less:	sp--; sp[-1] = sp[-1] < *sp; NEXT;
jz:	pc = *--sp == 0 ? code + *pc : pc + 1; NEXT;
jmp:	pc = code + *pc; NEXT;
end:	return var[STEPS];
}

int main(int argc, char **argv)
{
	long var[VARS] = {[N] = 1, [BOUND] = argc > 1 ? atol(argv[1]) : 1000};

	printf("%ld\n", run(program, var));
	return 0;
}
