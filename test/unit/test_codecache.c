/*
 * test_codecache.c - nothing is writable where it is executable, and a process that was
 * forked has translations of its own.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <sys/wait.h>
#include <unistd.h>

#include "cpu/cpu.h"
#include "test/unit/cpu_guest.h"
#include "util/region.h"

/* mov $N, %eax; ud2 */
static const uint8_t constant[] = { 0xb8, 0, 0, 0, 0, 0x0f, 0x0b };

struct line {
	unsigned long from, to;
	char prot[8];
	unsigned long inode;
};

static unsigned read_maps(struct line *lines, unsigned max)
{
	FILE *f = fopen("/proc/self/maps", "r");
	char text[512];
	unsigned n = 0;

	assert_non_null(f);
	while (n < max && fgets(text, sizeof text, f) != NULL)
		if (sscanf(text, "%lx-%lx %7s %*x %*s %lu", &lines[n].from, &lines[n].to,
		    lines[n].prot, &lines[n].inode) == 4)
			n++;
	fclose(f);
	return n;
}

/* Shared memory that is executed, and the same that is written: they are far apart. */
static void check_maps(unsigned machines)
{
	static struct line l[4000];
	unsigned n = read_maps(l, 4000), low = 0, high = 0;

	for (unsigned i = 0; i < n; i++) {
		assert_false(strchr(l[i].prot, 'w') != NULL && strchr(l[i].prot, 'x') != NULL);
		if (strcmp(l[i].prot, "r-xs") != 0)
			continue;
		assert_true(l[i].from - REGION_BASE < REGION_SIZE && l[i].to - REGION_BASE <= REGION_SIZE);
		low++;
		for (unsigned k = 0; k < n; k++)
			if (strcmp(l[k].prot, "rw-s") == 0 && l[k].inode == l[i].inode) {
				assert_true(l[k].from - REGION_BASE > REGION_SIZE);
				high++;
			}
	}
	assert_int_equal(low, machines);
	assert_int_equal(high, machines);
}

static uint64_t run_constant(struct guest *g, uint32_t n)
{
	mem_write_frame(g->m, MEM_FIRST_MFN + CODE_FRAME, 1, &n, sizeof n);
	cpu_state(g->c)->rip = CODE;
	assert_int_equal(cpu_run(g->c, UINT64_MAX)->reason, CPU_EXIT_EXCEPTION);
	return cpu_state(g->c)->gpr[RAX];
}

static void never_both(void **state)
{
	struct guest a, b;

	(void)state;
	start(&a, constant, sizeof constant, 0);
	check_maps(1);
	start(&b, constant, sizeof constant, 0);
	assert_int_equal(run_constant(&a, 1), 1);
	assert_int_equal(run_constant(&b, 2), 2);
	check_maps(2);
	end(&a);
	end(&b);
	check_maps(0);
}

/* Parent and children write translations at the same time. */
static void forked(void **state)
{
	enum { CHILDREN = 3, ROUNDS = 3000 };
	pid_t pid[CHILDREN];
	struct guest g;
	int status;

	(void)state;
	start(&g, constant, sizeof constant, 0);
	assert_int_equal(run_constant(&g, 7), 7);
	for (uint32_t k = 0; k < CHILDREN; k++) {
		pid[k] = fork();
		assert_true(pid[k] >= 0);
		for (uint32_t i = 0; pid[k] == 0 && i < ROUNDS; i++)
			if (run_constant(&g, k << 16 | i) != (k << 16 | i))
				_exit(1);
		if (pid[k] == 0)
			_exit(0);
	}
	for (uint32_t i = 0; i < ROUNDS; i++)
		assert_int_equal(run_constant(&g, 99 << 16 | i), 99 << 16 | i);
	for (unsigned k = 0; k < CHILDREN; k++) {
		assert_int_equal(waitpid(pid[k], &status, 0), pid[k]);
		assert_int_equal(status, 0);
	}
	check_maps(1);
	end(&g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(never_both),
		cmocka_unit_test(forked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
