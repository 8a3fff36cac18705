/*
 * check.c - runs one case every way there is, and reduces a failing one.
 *
 * Beside whole runs: a run that stops after a random number of instructions
 * must be where the reference is after as many, and must go on to the same
 * end; a second run over translations that exist must end like the first.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "insn.h"

enum { MAX_ICOUNT = 60000, CHILD_SECONDS = 5 };

static bool check_stop(struct rig *rig, const struct tcase *c, const struct result *nat,
	uint64_t total, char *why, size_t size)
{
	struct rng r = { c->seed + c->number };
	uint64_t k = 1 + rnd(&r) % (total - 1);
	struct result opt, ref;

	engine_load(rig->opt, c, true);
	engine_run(rig->opt, c, k, &opt);
	engine_load(rig->ref, c, true);
	engine_run(rig->ref, c, k, &ref);
	if (!compare(c, "ref stopped", &ref, "opt stopped", &opt, why, size))
		return false;
	engine_run(rig->opt, c, MAX_ICOUNT, &opt);
	engine_run(rig->ref, c, MAX_ICOUNT, &ref);
	return compare(c, "cpu", nat, "opt after a stop", &opt, why, size) &&
		compare(c, "ref after a stop", &ref, "opt after a stop", &opt, why, size);
}

/*
 * The address sanitizer has memory of its own where the guest has none, and code whose
 * accesses are not checked does not fault there.
 */
static bool meets_shadow(const struct result *ref)
{
	return CPU_HAS_SHADOW && ref->vec == 14 && ref->cr2 >= 0x7fff8000 && ref->cr2 < 0x10007fff8000;
}

static bool check_engines(struct rig *rig, const struct tcase *c, const struct result *nat,
	char *why, size_t size)
{
	struct result opt, ref, again;

	engine_load(rig->ref, c, false);
	engine_run(rig->ref, c, MAX_ICOUNT, &ref);
	if (meets_shadow(&ref))
		return true;
	if (rig->no_cpu || c->no_cpu || vendor_decides(c, nat))
		nat = &ref;
	else if (!compare(c, "cpu", nat, "ref", &ref, why, size))
		return false;
	engine_load(rig->opt, c, false);
	engine_run(rig->opt, c, MAX_ICOUNT, &opt);
	if (!compare(c, "cpu", nat, "opt", &opt, why, size) ||
	    !compare(c, "ref", &ref, "opt", &opt, why, size))
		return false;
	if (c->number % 4 == 1) {
		engine_load(rig->opt, c, true);
		engine_run(rig->opt, c, MAX_ICOUNT, &again);
		if (!compare(c, "cpu", nat, "opt again", &again, why, size) ||
		    !compare(c, "ref", &ref, "opt again", &again, why, size))
			return false;
	}
	if (c->number % 4 == 0 && ref.icount > 1)
		return check_stop(rig, c, nat, ref.icount, why, size);
	return true;
}

/* Plumbing only: the CPU against itself. */
static enum verdict check_native(struct rig *rig, const struct tcase *c,
	const struct result *nat, char *why, size_t size)
{
	static uint8_t mem[NFRAMES * PAGE];
	struct result first = *nat;

	memcpy(mem, nat->frame[0], sizeof(mem));
	for (unsigned i = 0; i < NFRAMES; i++)
		first.frame[i] = mem + i * PAGE;
	if (native_case(rig->native, 0) != c)
		*native_case(rig->native, 0) = *c;
	if (native_run(rig->native, 1) != 1)
		return SKIPPED;
	return compare(c, "cpu", &first, "cpu again", native_result(rig->native, 0), why, size) ?
		SAME : DIFFERENT;
}

enum verdict check_case(struct rig *rig, struct tcase *c, const struct result *nat, char *why,
	size_t size)
{
	if (!nat) {
		*native_case(rig->native, 0) = *c;
		if (native_run(rig->native, 1) != 1)
			return SKIPPED;
		nat = native_result(rig->native, 0);
	}
	if (!rig->engines)
		return check_native(rig, c, nat, why, size);
	c->no_cpu |= (!c->code64 && host.no_32) || host_loses(c, nat);
	return check_engines(rig, c, nat, why, size) ? SAME : DIFFERENT;
}

/* ---- in a child ---- */

enum verdict in_child(struct rig *rig, enum verdict (*f)(struct rig *, void *, char *, size_t),
	void *arg, char *why, size_t size)
{
	char *shared = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	enum verdict v = CRASHED;
	int status;
	pid_t pid;

	if (shared == MAP_FAILED)
		return SKIPPED;
	fflush(NULL);
	pid = fork();
	if (pid == 0) {
		struct rig mine = *rig;

		alarm(CHILD_SECONDS);
		if (rig->engines) {
			mine.opt = engine_start(false, rig->init);
			mine.ref = engine_start(true, rig->init);
		}
		_exit((int)f(&mine, arg, shared, PAGE));
	}
	waitpid(pid, &status, 0);
	if (WIFEXITED(status))
		v = (enum verdict)WEXITSTATUS(status);
	if (WIFSIGNALED(status))
		snprintf(why, size, WTERMSIG(status) == SIGALRM ? "the engine hangs" :
			"the engine died of signal %d", WTERMSIG(status));
	else
		snprintf(why, size, "%.400s", shared);
	munmap(shared, PAGE);
	return v;
}

static enum verdict check_one(struct rig *rig, void *arg, char *why, size_t size)
{
	return check_case(rig, arg, NULL, why, size);
}

enum verdict check_forked(struct rig *rig, struct tcase *c, char *why, size_t size)
{
	return in_child(rig, check_one, c, why, size);
}

/* ---- shrinking ---- */

struct shrink {
	struct rig *rig;
	struct tcase *c;
	char *why;
	size_t size;
	enum verdict want;
};

/* Keeps the candidate when it fails too, and in the same field. */
static bool keep(struct shrink *s, struct tcase *t)
{
	char why[500];

	if (!assemble(t) || check_forked(s->rig, t, why, sizeof(why)) != s->want ||
	    strncmp(why, s->why, strcspn(s->why, ":") + 1) != 0)
		return false;
	*s->c = *t;
	snprintf(s->why, s->size, "%s", why);
	return true;
}

static void drop(struct tcase *t, unsigned i)
{
	memmove(t->in + i, t->in + i + 1, (t->n - i - 1) * sizeof(t->in[0]));
	t->n--;
}

/* A store into the code goes with the instruction it changes. */
static bool drop_group(struct tcase *t, unsigned group)
{
	unsigned before = t->n;

	for (unsigned i = t->n; i-- > 0;)
		if (t->in[i].group == group || (t->in[i].target == group && t->in[i].addend))
			drop(t, i);
	return t->n != before;
}

static void shrink_insns(struct shrink *s)
{
	struct tcase t;

	for (unsigned g = MAX_GROUP * 2; g-- > 0;) {
		t = *s->c;
		if (drop_group(&t, g))
			keep(s, &t);
	}
	/* One by one, but never a counter without its branch. */
	for (unsigned i = s->c->n; i-- > 0;) {
		if (i >= s->c->n || s->c->branches)
			continue;
		t = *s->c;
		drop(&t, i);
		keep(s, &t);
	}
}

static void shrink_state(struct shrink *s)
{
	static const uint8_t fx0[32] = { 0x7f, 3, [24] = 0x80, 0x1f };
	struct tcase t;

	t = *s->c;
	memset(t.fx, 0, sizeof(t.fx));
	memset(t.ymmh, 0, sizeof(t.ymmh));
	memcpy(t.fx, fx0, sizeof(fx0));
	keep(s, &t);
	for (unsigned i = 0; i < 16; i++) {
		t = *s->c;
		t.gpr[i] = 0;
		if (i != 4 && s->c->gpr[i])
			keep(s, &t);
	}
	t = *s->c;
	t.rflags = 0x202;
	keep(s, &t);
	t = *s->c;
	t.start = 0x100;
	keep(s, &t);
	t = *s->c;
	t.kernel = 0;
	t.fsbase = t.gsbase = t.icount0 = 0;
	keep(s, &t);
}

void shrink_case(struct rig *rig, struct tcase *c, char *why, size_t size)
{
	struct shrink s = { rig, c, why, size, DIFFERENT };
	char first[500];

	s.want = check_forked(rig, c, first, sizeof(first));
	if (s.want != DIFFERENT && s.want != CRASHED) {
		size_t n = strlen(why);

		snprintf(why + n, size - n, " (only after the cases before it)");
		return;
	}
	snprintf(why, size, "%s", first);
	shrink_insns(&s);
	shrink_state(&s);
	shrink_insns(&s);
}
