/*
 * lookcpu.c - ttd regs, ttd mem.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/ttd/look.h"
#include "util/bytes.h"
#include "util/fx.h"
#include "util/parse.h"

enum { MEM_DEFAULT = 256, MEM_PART = 65536, ROW = 16 };

static const char *const segments[6] = { "es", "cs", "ss", "ds", "fs", "gs" };

/* ---- regs ---- */

struct regs {
	struct look l;
	bool all;
};

static void flags_text(uint64_t f, char *out, size_t n)
{
	static const struct { unsigned bit; const char *name; } bits[] = {
		{ 0, "CF" }, { 2, "PF" }, { 4, "AF" }, { 6, "ZF" }, { 7, "SF" }, { 8, "TF" },
		{ 9, "IF" }, { 10, "DF" }, { 11, "OF" }, { 14, "NT" }, { 16, "RF" }, { 18, "AC" },
		{ 21, "ID" },
	};
	size_t at = 0;

	out[0] = '\0';
	for (size_t i = 0; i < sizeof bits / sizeof *bits; i++)
		if (f >> bits[i].bit & 1)
			at += (size_t)snprintf(out + at, n - at, "%s%s", at != 0 ? " " : "",
				bits[i].name);
}

static void ymm_text(const struct ttd_registers *r, unsigned i, char text[4 * 16 + 1])
{
	for (unsigned k = 0; k < 16; k++) {
		sprintf(text + 2 * k, "%02x", r->ymm_high[i][15 - k]);
		sprintf(text + 2 * (16 + k), "%02x", r->fx[FX_XMM + FX_STEP * i + 15 - k]);
	}
}

static void regs_json(const struct regs *x, const struct ttd_registers *r, const char *at,
	const struct ttd_process *p)
{
	struct json j = {.to = stdout};
	char name[8];

	json_open(&j, NULL, '{');
	json_number(&j, "icount", (int64_t)r->icount);
	json_number(&j, "brctr", (int64_t)r->brctr);
	json_number(&j, "guest_ns", (int64_t)r->guest_ns);
	json_text(&j, "mode", r->user ? "user" : "kernel");
	json_hex(&j, "rip", r->rip);
	json_text(&j, "at", at);
	json_hex(&j, "rflags", r->rflags);
	for (unsigned i = 0; i < 16; i++)
		json_hex(&j, ttd_register_name(i), r->gpr[i]);
	for (unsigned i = 0; i < 6; i++)
		json_hex(&j, segments[i], r->seg[i]);
	json_hex(&j, "fs_base", r->fs_base);
	json_hex(&j, "gs_base", r->gs_base);
	json_hex(&j, "other_gs_base", r->other_gs_base);
	json_hex(&j, "kernel_table", r->kernel_table);
	json_hex(&j, "user_table", r->user_table);
	for (unsigned i = 0; x->all && i < 16; i++) {
		char text[2 * 16 + 1];

		for (unsigned k = 0; k < 16; k++)
			snprintf(text + 2 * k, 3, "%02x", r->fx[FX_XMM + FX_STEP * i + 15 - k]);
		snprintf(name, sizeof name, "xmm%u", i);
		json_text(&j, name, text);
	}
	for (unsigned i = 0; x->all && r->avx && i < 16; i++) {
		char text[4 * 16 + 1];

		ymm_text(r, i, text);
		snprintf(name, sizeof name, "ymm%u", i);
		json_text(&j, name, text);
	}
	if (p != NULL) {
		json_number(&j, "pid", p->pid);
		json_number(&j, "tid", p->tid);
		json_text(&j, "comm", p->comm);
	}
	json_close(&j, '}');
	json_end(&j);
}

static void print_fx(const uint8_t fx[512])
{
	for (unsigned i = 0; i < 16; i++) {
		printf("xmm%-5u 0x", i);
		for (unsigned k = 16; k-- > 0;)
			printf("%02x", fx[FX_XMM + FX_STEP * i + k]);
		putchar('\n');
	}
	for (unsigned i = 0; i < 8; i++) {
		printf("st%-6u 0x", i);
		for (unsigned k = 10; k-- > 0;)
			printf("%02x", fx[FX_ST + FX_STEP * i + k]);
		putchar('\n');
	}
	printf("fcw      0x%04x\nfsw      0x%04x\nmxcsr    0x%08x\n", get16(fx + FX_FCW),
		get16(fx + FX_FSW), get32(fx + FX_MXCSR));
}

static void regs_print(const struct regs *x, const struct ttd_registers *r, const char *at,
	const struct ttd_process *p)
{
	char flags[64];

	flags_text(r->rflags, flags, sizeof flags);
	printf("position brctr:%" PRIu64 ", icount:%" PRIu64 ", guest time %" PRIu64 ".%09" PRIu64
		" s\n", r->brctr, r->icount, r->guest_ns / 1000000000, r->guest_ns % 1000000000);
	if (p != NULL) {
		printf("process  %d", p->pid);
		if (p->tid != p->pid)
			printf(", thread %d", p->tid);
		fputs(" (", stdout);
		text_print(stdout, p->comm, strlen(p->comm));
		printf("), %s mode\n", r->user ? "user" : "kernel");
	} else {
		printf("process  none, %s mode\n", r->user ? "user" : "kernel");
	}
	printf("rip      0x%016" PRIx64 "%s", r->rip, at[0] != '\0' ? " " : "");
	text_print(stdout, at, strlen(at));
	putchar('\n');
	printf("rflags   0x%016" PRIx64 " [%s]\n", r->rflags, flags);
	for (unsigned i = 0; i < 16; i++)
		printf("%-8s 0x%016" PRIx64 "%s", ttd_register_name(i), r->gpr[i],
			i % 2 == 0 ? "    " : "\n");
	for (unsigned i = 0; i < 6; i++)
		printf("%s 0x%04x%s", segments[i], r->seg[i], i < 5 ? "  " : "\n");
	printf("fs_base  0x%016" PRIx64 "\ngs_base  0x%016" PRIx64 ", %s mode 0x%016" PRIx64 "\n",
		r->fs_base, r->gs_base, r->user ? "kernel" : "user", r->other_gs_base);
	printf("tables   kernel 0x%" PRIx64 ", user 0x%" PRIx64 " (machine addresses)\n",
		r->kernel_table, r->user_table);
	if (x->all)
		print_fx(r->fx);
	for (unsigned i = 0; x->all && r->avx && i < 16; i++) {
		char text[4 * 16 + 1];

		ymm_text(r, i, text);
		printf("ymm%-5u 0x%s\n", i, text);
	}
}

static int regs(const struct command *cmd, struct diag *diag, int argc, char **argv)
{
	struct regs x = { .l = { .cmd = cmd, .diag = diag } };
	struct ttd_registers r;
	struct ttd_process p;
	char at[400];
	int status = look_parse(&x.l, &x, argc, argv);

	if (status != COMMAND_GO)
		return status;
	status = look_go(&x.l);
	if (status == TTD_OK) {
		bool running = ttd_view_current(x.l.view, &p) == 0;

		ttd_view_registers(x.l.view, &r);
		ttd_view_name(x.l.view, r.rip, at, sizeof at);
		(x.l.json ? regs_json : regs_print)(&x, &r, at, running ? &p : NULL);
	}
	look_end(&x.l);
	return status;
}

/* ---- mem ---- */

struct mem {
	struct look l;
	const char *addr;
	uint64_t at, left;
	int space;
};

static void row(uint64_t at, const uint8_t *p, size_t n)
{
	printf("%016" PRIx64 " ", at);
	for (size_t i = 0; i < ROW; i++) {
		fputs(i == ROW / 2 ? "  " : " ", stdout);
		if (i < n)
			printf("%02x", p[i]);
		else
			fputs("  ", stdout);
	}
	fputs("  |", stdout);
	for (size_t i = 0; i < n; i++)
		putchar(p[i] >= ' ' && p[i] < 0x7f ? p[i] : '.');
	puts("|");
}

static void mem_json(const struct mem *m, const uint8_t *p, size_t n)
{
	struct json j = {.to = stdout};

	json_open(&j, NULL, '{');
	json_hex(&j, "address", m->at);
	json_number(&j, "length", (int64_t)n);
	json_hexdump(&j, "bytes", p, n);
	json_close(&j, '}');
	json_end(&j);
}

/* What is mapped is shown; where it ends, the exit status says so. */
static int show(struct mem *m)
{
	uint8_t *p = malloc(m->l.json ? m->left : MEM_PART);
	uint64_t at = m->at;
	struct ttd_error e = TTD_ERROR_INIT;
	long long got = 0;

	if (p == NULL) {
		diag_print(m->l.diag, DIAG_ERROR, "out of memory");
		return TTD_HOST;
	}
	while (m->left != 0) {
		size_t want = m->l.json || m->left < MEM_PART ? (size_t)m->left : MEM_PART;

		got = ttd_view_read(m->l.view, m->space, at, p, want, &e);
		if (got <= 0)
			break;
		if (m->l.json)
			mem_json(m, p, (size_t)got);
		else
			for (size_t i = 0; i < (size_t)got; i += ROW)
				row(at + i, p + i, (size_t)got - i < ROW ? (size_t)got - i : ROW);
		at += (uint64_t)got;
		m->left -= (uint64_t)got;
		if (m->l.json)
			break;
	}
	free(p);
	if (got < 0)
		return look_failed(&m->l, &e);
	if (m->left == 0)
		return TTD_OK;
	diag_print(m->l.diag, DIAG_ERROR, "nothing is %s 0x%" PRIx64 " at this position",
		m->space == TTD_SPACE_MACHINE ? "at machine address" : "mapped at", at);
	return TTD_HOST;
}

/* ADDR [LEN] [TRACE].  COMMAND_GO, or the status to leave with. */
static int operands(struct mem *m, int argc, char **argv, int first)
{
	struct diag *diag = m->l.diag;

	if (first >= argc) {
		diag_print(diag, DIAG_ERROR, "mem: give an address; see ttd mem --help");
		return TTD_USAGE;
	}
	m->addr = argv[first++];
	m->left = MEM_DEFAULT;
	if (first < argc && parse_u64(argv[first], 1, 1 << 30, &m->left) == 0) {
		first++;
	} else if (argc - first > 1) {
		diag_print(diag, DIAG_ERROR, "mem: length '%s': give 1 to 1073741824 bytes",
			argv[first]);
		return TTD_USAGE;
	}
	return command_trace(m->l.cmd, diag, argc, argv, first, &m->l.trace);
}

static int take_machine(void *to, const struct option_value *v, struct ttd_error *e)
{
	struct mem *m = to;

	(void)v;
	(void)e;
	m->space = TTD_SPACE_MACHINE;
	return 0;
}

static int mem(const struct command *cmd, struct diag *diag, int argc, char **argv)
{
	struct mem m = { .l = { .cmd = cmd, .diag = diag }, .space = TTD_SPACE_CURRENT };
	struct ttd_error te = TTD_ERROR_INIT;
	int first, status = command_parse(cmd, diag, argc, argv, &m, &first);

	if (status == COMMAND_GO)
		status = operands(&m, argc, argv, first);
	if (status != COMMAND_GO)
		return status;
	status = look_go(&m.l);
	if (status == TTD_OK)
		status = ttd_view_address(m.l.view, m.addr, &m.at, &te) == 0 ? show(&m)
			: look_failed(&m.l, &te);
	look_end(&m.l);
	return status;
}

/* ---- the commands ---- */

static const struct option_row regs_options[] = {
	LOOK_ROWS(struct regs),
	{"all", NULL, "x87, SSE and AVX registers too", TAKE_BOOL(struct regs, all)},
	OPTIONS_END,
};

static const struct option_row mem_table[] = {
	LOOK_ROWS(struct mem),
	{"pid", "PID", "in this process's address space (default: the running one's)",
		TAKE_U32(struct mem, space, 1, INT32_MAX, "give a number that ttd ps shows")},
	{"machine", NULL, "ADDR is a machine address", TAKE_BY(take_machine)},
	OPTIONS_END,
};

const struct command command_regs = {
	.name = "regs",
	.synopsis = "[TRACE] [--at POS] [--all] [--json]",
	.summary = "Show the registers of a recorded guest at a position.",
	.options = regs_options,
	.examples =
		"  ttd regs\n"
		"  ttd regs guest-3 --at 1008857583\n",
	.run = regs,
};

const struct command command_mem = {
	.name = "mem",
	.synopsis = "ADDR [LEN] [TRACE] [--at POS] [--pid PID] [--machine] [--json]",
	.summary = "Show memory of a recorded guest: by virtual address, symbol or register.",
	.options = mem_table,
	.examples =
		"  ttd mem linux_banner 200\n"
		"  ttd mem rsp 64 guest-3 --at 50%\n"
		"  ttd mem 0x400000 --pid 1\n",
	.run = mem,
};
