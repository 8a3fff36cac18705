/*
 * main.c - the command line of the instruction test suite.
 *
 *   insn-test [--seed N] [--count N] [--seconds N] [--only CLASS|NAME]
 *             [--case N] [--long] [--hand] [--random] [--native] [--failures N]
 *             [--list] [--stats]
 *
 * By default: all hand-written cases, then random ones from a new seed until
 * 200000 are done or a minute is over.  The seed is always printed; --seed
 * with --case runs one again.  A runner process does the work, so that a crash
 * of the engine is a failure of one case and not the end.
 */
#include <Zydis/Zydis.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "insn.h"

enum { MAX_TAGS = 64, TAG = 40, HANG_SECONDS = 20 };

struct options {
	uint64_t seed, count, first;
	unsigned seconds, failures;
	int only;
	bool hand, random, native_only, stats;
	const char *name;
};

/* Shared by the runner and its supervisor. */
struct progress {
	uint64_t next;     /* the case being run */
	uint64_t ran, skipped, failed;
	char tag[MAX_TAGS][TAG];
	unsigned tag_count[MAX_TAGS];
	uint64_t end[33]; /* how cases ended, by vector */
	double until;
	bool hand_done;
	unsigned hand_ran, hand_failed;
};

static uint8_t init[NFRAMES * PAGE] __attribute__((aligned(4096)));

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static bool start_rig(struct rig *rig, const struct options *o)
{
	memset(rig, 0, sizeof(*rig));
	rig->init = init;
	rig->native = native_start(init);
	if (!rig->native)
		return false;
	if (o->native_only)
		return true;
	rig->engines = true;
	rig->opt = engine_start(false, init);
	rig->ref = engine_start(true, init);
	return rig->opt && rig->ref;
}

static void report(struct rig *rig, struct progress *p, struct tcase *c, char *why, size_t size)
{
	char tag[TAG];
	unsigned i = 0;

	alarm(0);
	printf("FAIL seed %llu case %llu: %s\n", (unsigned long long)c->seed,
		(unsigned long long)c->number, why);
	fflush(stdout);
	shrink_case(rig, c, why, size);
	printf("  reduced: %s\n", why);
	print_case(c);
	fflush(stdout);
	case_tag(c, tag, sizeof(tag));
	while (i < MAX_TAGS - 1 && p->tag[i][0] && strcmp(p->tag[i], tag) != 0)
		i++;
	snprintf(p->tag[i], TAG, "%s", tag);
	p->tag_count[i]++;
	p->failed++;
}

/* Random cases from p->next on, a batch at a time. */
static void run_random(struct rig *rig, const struct options *o, struct progress *p, double end)
{
	char why[500];

	rig->no_cpu = CPU_HAS_SHADOW;
	while (p->next < o->first + o->count && p->failed < o->failures && now() < end) {
		uint64_t base = p->next, left = o->first + o->count - base;
		unsigned n = left < BATCH ? (unsigned)left : BATCH, done;

		alarm(HANG_SECONDS);
		if (o->native_only)
			n = 1;
		for (unsigned i = 0; i < n; i++)
			generate(native_case(rig->native, i), o->seed, base + i, o->only);
		done = native_run(rig->native, n);
		for (unsigned i = 0; i < done; i++) {
			struct tcase *c = native_case(rig->native, i);

			p->next = base + i;
			if (host_loses(c, native_result(rig->native, i))) {
				p->skipped++;
				continue;
			}
			p->ran++;
			p->end[native_result(rig->native, i)->vec & 31]++;
			if (check_case(rig, c, native_result(rig->native, i), why,
				sizeof(why)) == DIFFERENT) {
				struct tcase copy = *c;

				report(rig, p, &copy, why, sizeof(why));
				p->next = base + i + 1;
				/* Shrinking used the slots: make the rest again. */
				goto next_batch;
			}
		}
		p->next = base + done + (done < n);
		if (done < n) {
			printf("skipped seed %llu case %llu: the native worker was lost\n",
				(unsigned long long)o->seed, (unsigned long long)(base + done));
			p->skipped++;
		}
next_batch:;
	}
}

static void runner(const struct options *o, struct progress *p)
{
	struct rig rig;

	if (!start_rig(&rig, o))
		_exit(2);
	if (o->hand && !p->hand_done) {
		p->hand_failed = run_hand_cases(&rig, o->name, &p->hand_ran);
		p->hand_done = true;
	}
	if (p->until == 0) /* the hand-written ones take as long as they do */
		p->until = now() + o->seconds;
	if (o->random)
		run_random(&rig, o, p, p->until);
	alarm(0);
	fflush(stdout);
	native_stop(rig.native);
	_exit(0);
}

/* The runner died while it checked p->next. */
static void handle_crash(const struct options *o, struct progress *p, int status)
{
	struct rig rig;
	static struct tcase c;
	char why[500];

	memset(&rig, 0, sizeof(rig));
	rig.init = init;
	rig.native = native_start(init);
	rig.engines = true; /* children make their own */
	snprintf(why, sizeof(why), WTERMSIG(status) == SIGALRM ? "the engine hangs" :
		"the engine died of signal %d", WTERMSIG(status));
	generate(&c, o->seed, p->next, o->only);
	report(&rig, p, &c, why, sizeof(why));
	native_stop(rig.native);
	p->next++;
}

/* What the sample was made of: ends by vector, instructions by mnemonic. */
static void print_stats(const struct options *o, const struct progress *p)
{
	static unsigned seen[ZYDIS_MNEMONIC_MAX_VALUE + 1];
	static struct tcase c;
	unsigned distinct = 0;

	for (uint64_t i = 0; i < 20000; i++) {
		generate(&c, o->seed, o->first + i, o->only);
		count_mnemonics(&c, seen);
	}
	for (unsigned v = 0; v < 32; v++)
		if (p->end[v])
			printf("  ended in vector %2u: %llu\n", v, (unsigned long long)p->end[v]);
	for (int m = 0; m <= ZYDIS_MNEMONIC_MAX_VALUE; m++)
		if (seen[m]) {
			distinct++;
			printf("%s:%u ", ZydisMnemonicGetString((ZydisMnemonic)m), seen[m]);
		}
	printf("\n  %u mnemonics in 20000 cases\n", distinct);
}

static int supervise(const struct options *o)
{
	struct progress *p = mmap(NULL, sizeof(*p), PROT_READ | PROT_WRITE,
		MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	double start = now();

	if (p == MAP_FAILED)
		return 2;
	p->next = o->first;
	for (;;) {
		int status;
		pid_t pid;

		fflush(NULL);
		pid = fork();
		if (pid == 0)
			runner(o, p);
		waitpid(pid, &status, 0);
		if (WIFEXITED(status)) {
			if (WEXITSTATUS(status))
				return 2;
			break;
		}
		handle_crash(o, p, status);
		if (p->failed >= o->failures)
			break;
	}
	if (o->hand)
		printf("insn-test: %u hand-written cases, %u failed\n", p->hand_ran, p->hand_failed);
	if (o->random)
		printf("insn-test: seed %llu: %llu random cases in %.1f s, %llu failed, %llu skipped\n",
			(unsigned long long)o->seed, (unsigned long long)p->ran, now() - start,
			(unsigned long long)p->failed, (unsigned long long)p->skipped);
	for (unsigned i = 0; i < MAX_TAGS && p->tag[i][0]; i++)
		printf("  %4u ending in %s\n", p->tag_count[i], p->tag[i]);
	if (o->stats)
		print_stats(o, p);
	return p->failed || p->hand_failed ? 1 : 0;
}

static void list_case(const struct options *o)
{
	static struct tcase c;

	generate(&c, o->seed, o->first, o->only);
	printf("seed %llu case %llu\n", (unsigned long long)o->seed, (unsigned long long)o->first);
	print_case(&c);
}

static int find_class(const char *name)
{
	for (int i = 0; i < CL_COUNT; i++)
		if (strcmp(name, class_names[i]) == 0)
			return i;
	return -1;
}

static void usage(void)
{
	fprintf(stderr, "usage: insn-test [--seed N] [--count N] [--seconds N] [--only CLASS|NAME]\n"
		"                 [--case N] [--long] [--hand] [--random] [--native]\n"
		"                 [--failures N] [--list] [--stats]\nclasses:");
	for (int i = 0; i < CL_COUNT; i++)
		fprintf(stderr, " %s", class_names[i]);
	fprintf(stderr, "\n");
	exit(2);
}

int main(int argc, char **argv)
{
	static const struct option opts[] = {
		{ "seed", 1, NULL, 's' }, { "count", 1, NULL, 'n' }, { "only", 1, NULL, 'o' },
		{ "case", 1, NULL, 'c' }, { "long", 0, NULL, 'L' }, { "hand", 0, NULL, 'h' },
		{ "random", 0, NULL, 'r' }, { "native", 0, NULL, 'N' },
		{ "stats", 0, NULL, 'S' },
		{ "failures", 1, NULL, 'f' }, { "list", 0, NULL, 'l' },
		{ "seconds", 1, NULL, 't' }, { NULL, 0, NULL, 0 },
	};
	struct options o = { .seed = (uint64_t)time(NULL), .count = 200000, .seconds = 60,
		.failures = 10, .only = -1, .hand = true, .random = true };
	bool list = false;
	int k;

	while ((k = getopt_long(argc, argv, "", opts, NULL)) != -1) {
		switch (k) {
		case 's': o.seed = strtoull(optarg, NULL, 0); break;
		case 'n': o.count = strtoull(optarg, NULL, 0); break;
		case 't': o.seconds = (unsigned)strtoul(optarg, NULL, 0); break;
		case 'f': o.failures = (unsigned)strtoul(optarg, NULL, 0); break;
		case 'c': o.first = strtoull(optarg, NULL, 0); o.count = 1; o.hand = false; break;
		case 'L': o.count = 10000000; o.seconds = 7200; break;
		case 'h': o.random = false; break;
		case 'r': o.hand = false; break;
		case 'N': o.native_only = true; break;
		case 'S': o.stats = true; break;
		case 'l': list = true; break;
		case 'o':
			o.only = find_class(optarg);
			o.name = optarg;
			o.hand = o.only < 0;
			o.random = o.only >= 0;
			break;
		default: usage();
		}
	}
	if (optind != argc)
		usage();
	layout_fill(init, o.seed);
	if (list) {
		list_case(&o);
		return 0;
	}
	host_look();
	return supervise(&o);
}
