/*
 * lastwrite.c - ttd last-write: who wrote these bytes last?
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cmd/ttd/look.h"
#include "util/parse.h"

struct query {
	struct look l;
	const char *addr;
	uint64_t len;
	bool machine;
};

static const struct option_row options[] = {
	LOOK_ROWS(struct query),
	{"len", "N", "this many bytes (default 8), up to 4096",
		TAKE_U64(struct query, len, 1, 4096, "give a number of bytes from 1 to 4096")},
	{"machine", NULL, "ADDR is a machine address", TAKE_BOOL(struct query, machine)},
	OPTIONS_END,
};

static const char *const writers[] = {
	[TTD_BY_INSTRUCTION] = "instruction", [TTD_BY_WALK] = "page walk",
	[TTD_BY_HYPERVISOR] = "hypervisor",
};

static void print_json(const struct query *q, uint64_t addr, const struct ttd_write *w,
	const char *name, const struct ttd_process *p)
{
	struct json j = {.to = stdout};

	json_open(&j, NULL, '{');
	json_hex(&j, "address", addr);
	if (w == NULL) {
		json_text(&j, "by", "nobody");
	} else {
		json_number(&j, "icount", (int64_t)w->icount);
		json_number(&j, "moment", w->moment);
		json_number(&j, "brctr", (int64_t)w->brctr);
		json_text(&j, "by", writers[w->by]);
		if (w->rip != 0)
			json_hex(&j, "rip", w->rip);
		if (name[0] != '\0')
			json_text(&j, "symbol", name);
		if (w->what[0] != '\0')
			json_text(&j, "what", w->what);
		json_hex(&j, "wrote_va", w->va);
		if (w->machine != UINT64_MAX)
			json_hex(&j, "wrote_machine", w->machine);
		json_number(&j, "size", w->size);
		json_number(&j, "segments", w->segments);
		json_number(&j, "skipped", w->skipped);
	}
	if (p != NULL) {
		json_number(&j, "pid", p->pid);
		json_text(&j, "comm", p->comm);
	}
	json_close(&j, '}');
	json_end(&j);
	(void)q;
}

static void print_text(const struct query *q, uint64_t addr, const struct ttd_write *w,
	const char *name, const struct ttd_process *p)
{
	if (w == NULL) {
		printf("0x%" PRIx64 ": nobody has written there since the machine was built\n", addr);
		return;
	}
	printf("0x%" PRIx64 ": written at %" PRIu64, addr, w->icount);
	if (w->moment != 0)
		printf(".%u", w->moment);
	printf(" (brctr:%" PRIu64 ") by ", w->brctr);
	if (w->by == TTD_BY_HYPERVISOR)
		printf("the hypervisor: %s", w->what);
	else
		printf("%sip:0x%" PRIx64 "%s", w->by == TTD_BY_WALK ? "a page walk for " : "",
			w->rip, name[0] != '\0' ? " " : "");
	if (w->by != TTD_BY_HYPERVISOR)
		text_print(stdout, name, strlen(name));
	printf(", %u bytes", w->size);
	if (p != NULL) {
		printf(", process %d ", p->pid);
		text_print(stdout, p->comm, strlen(p->comm));
	}
	putchar('\n');
	(void)q;
}

static int answer(struct query *q)
{
	struct look *l = &q->l;
	struct ttd_process process, *p = NULL;
	struct ttd_error e = TTD_ERROR_INIT;
	struct ttd_write w;
	char name[600] = "";
	uint64_t addr;
	int rc;

	if (q->machine ? parse_u64(q->addr, 0, UINT64_MAX, &addr) != 0
		: ttd_view_address(l->view, q->addr, &addr, &e) != 0) {
		if (!q->machine)
			return look_failed(l, &e);
		diag_print(l->diag, DIAG_ERROR, "last-write: '%s' is not a number", q->addr);
		return TTD_USAGE;
	}
	rc = ttd_session_last_write(l->session, q->machine ? TTD_SPACE_MACHINE
		: TTD_SPACE_CURRENT, addr, (size_t)q->len, &w, &e);
	diag_progress_end(l->diag);
	if (rc < 0)
		return look_failed(l, &e);
	if (rc == 1 && ttd_view_current(l->view, &process) == 0)
		p = &process;
	if (rc == 1)
		ttd_view_name(l->view, w.rip, name, sizeof name);
	(l->json ? print_json : print_text)(q, addr, rc == 1 ? &w : NULL, name, p);
	return TTD_OK;
}

static int run(const struct command *cmd, struct diag *diag, int argc, char **argv)
{
	struct query q = {.l = {.cmd = cmd, .diag = diag, .children = true}, .len = 8};
	int first, status = command_parse(cmd, diag, argc, argv, &q, &first);

	if (status != COMMAND_GO)
		return status;
	if (first == argc) {
		diag_print(diag, DIAG_ERROR, "last-write: give an address");
		return TTD_USAGE;
	}
	q.addr = argv[first];
	status = command_trace(cmd, diag, argc, argv, first + 1, &q.l.trace);
	if (status != COMMAND_GO)
		return status;
	status = look_go(&q.l);
	if (status == TTD_OK)
		status = answer(&q);
	look_end(&q.l);
	if (status == TTD_OK && fflush(stdout) != 0) {
		diag_print(diag, DIAG_ERROR, "the output cannot be written");
		return TTD_HOST;
	}
	return status;
}

const struct command command_last_write = {
	.name = "last-write",
	.synopsis = "ADDR [TRACE] [OPTION]...",
	.summary = "Tell who wrote some bytes of memory last, before a position.",
	.options = options,
	.examples =
		"  ttd last-write jiffies\n"
		"  ttd last-write 0xffff888003a41010 guest-3 --at panic --len 4\n",
	.run = run,
};
