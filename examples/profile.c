/*
 * profile.c - where a recorded machine spent its instructions: looks at 1,000 places of a
 * recording, evenly apart, and prints which function and which process was there how often.
 * The same recording gives the same profile every time.
 *
 *	cc -o profile profile.c $(pkg-config --cflags --libs ttd)
 *	./profile [TRACE]
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <ttd/ttd.h>

enum { PLACES = 1000, NAME = 96, LINE = 192, SHOWN = 20 };

struct count {
	char line[LINE];
	unsigned n;
};

static void add(struct count *c, const char *line)
{
	while (c->n != 0 && strcmp(c->line, line) != 0)
		c++;
	snprintf(c->line, LINE, "%s", line);
	c->n++;
}

static int by_count(const void *a, const void *b)
{
	const struct count *x = a, *y = b;

	return x->n != y->n ? (x->n < y->n) - (x->n > y->n) : strcmp(x->line, y->line);
}

/* "do_exit", "user mode", "0xffffffff81000000". */
static void function_at(const struct ttd_view *view, const struct ttd_place *at, char name[NAME])
{
	if (at->user) {
		strcpy(name, "user mode");
		return;
	}
	ttd_view_name(view, at->rip, name, NAME);
	name[strcspn(name, "+")] = '\0';
	if (*name == '\0')
		snprintf(name, NAME, "0x%" PRIx64, at->rip);
}

static int look(struct ttd_session *s, struct count *c, struct ttd_error *err)
{
	struct ttd_view *view = NULL;
	char name[NAME], line[LINE];
	struct ttd_place at;
	int rc = 0;

	ttd_session_place(s, &at);
	for (uint64_t i = 0, end = at.end; i < PLACES; i++) {
		struct ttd_process p;

		/* A kernel that has only begun has no processes yet; a view notices later ones. */
		if (ttd_session_seek_icount(s, end / PLACES * i, 0, err) != 0 ||
			(view == NULL && (view = ttd_view_open(ttd_session_vm(s), NULL, err)) == NULL)) {
			rc = -1;
			break;
		}
		ttd_session_place(s, &at);
		function_at(view, &at, name);
		snprintf(line, LINE, "%-32s %s", name,
			ttd_view_current(view, &p) == 0 ? p.comm : "-");
		add(c, line);
	}
	ttd_view_close(view);
	return rc;
}

int main(int argc, char **argv)
{
	static struct count counts[PLACES + 1];
	struct ttd_session_options opt = TTD_SESSION_INIT;
	struct ttd_error err = TTD_ERROR_INIT;
	struct ttd_session *s;
	int rc;

	opt.trace = argc > 1 ? argv[1] : NULL;
	s = ttd_session_open(&opt, &err);
	rc = s != NULL ? look(s, counts, &err) : -1;
	if (rc != 0)
		fprintf(stderr, "profile: %s\n", err.text);
	ttd_session_close(s);
	qsort(counts, PLACES, sizeof *counts, by_count);
	for (unsigned i = 0; i < SHOWN && counts[i].n != 0; i++)
		printf("%5.1f %%  %s\n", counts[i].n * 100.0 / PLACES, counts[i].line);
	return rc != 0 ? (int)err.status : 0;
}
