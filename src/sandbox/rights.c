/*
 * rights.c - the table of what a confined process may still do: from it come the seccomp
 * filter, the Landlock rules and the broker's names.
 *
 * In a path, {key} is what confine.c found for this process; with several values (disks,
 * files that were named) the row stands for each.  {number} and {any} are wild.  What no row
 * says is refused: writing to, making, renaming or removing any file, sockets, processes,
 * signals to others.  What is open already stays usable.
 */
#include "sandbox/rights.h"

#include <stdio.h>
#include <string.h>
#include <ttd/error.h>

#include "util/path.h"

enum {
	ANY = ROLE_RUN | ROLE_RECORD | ROLE_REPLAY,
	LIVE = ROLE_RUN | ROLE_RECORD,
	LOGS = ROLE_RECORD | ROLE_REPLAY,
	RUNS = ROLE_REPLAY | ROLE_SESSION, /* a trace's machine */
	READS = ROLE_REPLAY | ROLE_SESSION | ROLE_READER,
};
enum {
	LOOK = 1 << 16, /* the process itself may open it, to read, and what is in it */
	HERE = 1 << 17, /* the same, but not through a link: beside a stranger's log */
	BY_ITSELF = LOOK | HERE,
	READ = NAME_READ, OPEN = NAME_OPEN, CREATE = NAME_CREATE, REMOVE = NAME_REMOVE,
	RENAME = NAME_RENAME,
};

struct right {
	unsigned role, when;
	const char *path;
	unsigned verbs, made, young;
	unsigned needs; /* SANDBOX_... */
};

static const struct right table[] = {
	/* The machine, and names for a divergence. */
	{LIVE, 0, "{kernel}", LOOK, 0, 0, 0},
	{LIVE, WHEN_AGAIN, "{ramdisk}", LOOK, 0, 0, 0},
	{LIVE, WHEN_AGAIN, "{cache}/kernels", LOOK, 0, 0, 0},
	{RUNS, 0, "{kernel}", LOOK, 0, 0, 0},
	{RUNS, 0, "{ramdisk}", LOOK, 0, 0, 0},
	{RUNS, 0, "{cache}/kernels", LOOK, 0, 0, 0},
	{RUNS, 0, "{log}", LOOK, 0, 0, 0},
	{RUNS, 0, "{log}.checkpoints", HERE, 0, 0, 0},
	{RUNS, 0, "{overlay}", HERE, 0, 0, 0},
	{RUNS, 0, "{temp}", NAME_TMPFILE, 0, 0, 0},
	{READS, 0, "{cache}/symbols", LOOK, 0, 0, 0},

	/* What goes away at the end. */
	{ANY, 0, "{control}", REMOVE, 0, 0, 0},
	{ROLE_RECORD, 0, "{ring}", REMOVE, 0, 0, 0},
	/* A replay's own log, with its ring, and its text about a divergence. */
	{ROLE_REPLAY, 0, "{log}.replay.{number}", CREATE, REMOVE, 0, 0},
	{ROLE_REPLAY, 0, "{log}.replay.{number}.txt", OPEN | CREATE, 0, 0, 0},
	{ROLE_REPLAY, 0, "{runtime}/{any}.ring", CREATE, REMOVE, 0, 0},

	/* Checkpoints are made anew when they become too many. */
	{LOGS, 0, "{log}.checkpoints", READ | CREATE | REMOVE | RENAME, 0, 0, 0},
	{LOGS, 0, "{log}.checkpoints.new", CREATE | REMOVE | RENAME, 0, 0, 0},

	/* The log, when its daemon is gone; and the next daemon. */
	{ROLE_RECORD, WHEN_DEVICED, "{log}", READ | OPEN, 0, 0, 0},
	{ROLE_REPLAY, WHEN_DEVICED, "{log}.replay.{number}", 0, 0, READ | OPEN | REMOVE, 0},
	{LOGS, WHEN_DEVICED, "{deviced}", NAME_CONNECT, 0, 0, 0},

	/* A guest that reboots: another trace, a ring, disks, devices. */
	{ROLE_RECORD, WHEN_AGAIN, "{traces}/{name}-{number}", NAME_FOLDER, NAME_RMDIR, 0, 0},
	{ROLE_RECORD, WHEN_AGAIN, "{traces}/{name}-{number}/{any}",
		0, READ | OPEN | CREATE | REMOVE | RENAME, 0, 0},
	{ROLE_RECORD, WHEN_AGAIN, "{traces}/latest.new", NAME_LINK | REMOVE | RENAME, 0, 0, 0},
	{ROLE_RECORD, WHEN_AGAIN, "{traces}/latest", RENAME, 0, 0, 0},
	{ROLE_RECORD, WHEN_AGAIN, "{runtime}/{any}.ring", CREATE, REMOVE, 0, 0},
	{ROLE_RECORD, WHEN_AGAIN | WHEN_DEVICED, "{logs}/{name}-{number}/{any}",
		CREATE, OPEN | REMOVE | RENAME, READ | OPEN, 0},
	{LIVE, WHEN_AGAIN, "{base}", LOOK, 0, 0, 0},
	{LIVE, WHEN_AGAIN, "{direct}", OPEN | LOOK, 0, 0, 0},
	{ROLE_RUN, WHEN_AGAIN, "{temp}", NAME_TMPFILE, 0, 0, 0},
	{LIVE, WHEN_AGAIN | WHEN_TAP, "/dev/net/tun", OPEN, 0, 0, 0},

	/* A user network's sockets: IPv4 and IPv6, TCP and UDP. */
	{LIVE, WHEN_NET, "", 0, 0, 0, SANDBOX_NET},
	{LIVE, WHEN_FORWARDS | WHEN_AGAIN, "", 0, 0, 0, SANDBOX_LISTEN},
	{LIVE, WHEN_UDP, "", 0, 0, 0, SANDBOX_UDP},
	{LIVE, WHEN_NBD | WHEN_AGAIN, "", 0, 0, 0, SANDBOX_NET},
	{LIVE, WHEN_TAP, "", 0, 0, 0, SANDBOX_TAP},

	/* Who looks: files that the user named, and debug information where it usually is. */
	{READS, 0, "{input}", LOOK, 0, 0, 0},
	{READS, 0, "{input}.debug", LOOK, 0, 0, 0},
	{READS, 0, "{output}", OPEN | CREATE | REMOVE | RENAME, 0, 0, 0},
	{READS, 0, "{output}.{number}", CREATE | REMOVE | RENAME, 0, 0, 0},
	{ROLE_READER, 0, "{trace}", LOOK, 0, 0, 0},
	{ROLE_READER, WHEN_INTO, "{into}/{any}", NAME_FOLDER, NAME_RMDIR, 0, SANDBOX_TIMES},
	{ROLE_READER, WHEN_INTO, "{into}/{any}/{any}", 0, READ | OPEN | CREATE | REMOVE, 0, 0},
	{ROLE_SESSION, WHEN_CHILDREN, "", 0, 0, 0, SANDBOX_CHILDREN},
	{ROLE_SESSION, 0, "", 0, 0, 0, SANDBOX_BELOW},

	/* ttd-deviced: -f LOG, and the logs of its replays; or -d DIR. */
	{ROLE_DAEMON, 0, "{daemon-log}", LOOK | READ | OPEN | CREATE | REMOVE | RENAME, 0, 0, 0},
	{ROLE_DAEMON, 0, "{daemon-log}.replaced", REMOVE | RENAME, 0, 0, 0},
	{ROLE_DAEMON, 0, "{daemon-log}.replay.{number}", READ | OPEN | CREATE, REMOVE, 0, 0},
	{ROLE_DAEMON, 0, "{daemon-dir}", LOOK, 0, 0, 0},
	{ROLE_DAEMON, 0, "{daemon-dir}/{any}", NAME_FOLDER, NAME_RMDIR, 0, 0},
	{ROLE_DAEMON, 0, "{daemon-dir}/{any}/ttd.log.{any}",
		READ | OPEN | CREATE, REMOVE, 0, 0},
	{ROLE_DAEMON, 0, "{control}", REMOVE, 0, 0, 0},
};

static const char *const keys[KEYS] = {
	"kernel", "ramdisk", "cache", "log", "overlay", "ring", "control", "runtime", "deviced",
	"traces", "logs", "name", "base", "direct", "temp", "input", "output", "daemon-log",
	"daemon-dir", "trace", "into",
};

void rights_set(struct subject *s, enum rights_key key, const char *const *v, unsigned n)
{
	s->value[key] = (struct rights_values){v, n};
}

void rights_one(struct subject *s, enum rights_key key, const char *v)
{
	s->one[key] = v;
	rights_set(s, key, &s->one[key], 1);
}

static const char number[] = {WILD_NUMBER, '\0'}, any[] = {WILD_NAME, '\0'},
	wild[] = {WILD_NUMBER, WILD_NAME, '\0'};

/* The value of {key} at p for the i-th turn; NULL: there is none. */
static const char *value(const struct subject *s, const char *p, size_t n, unsigned i)
{
	if (n == 6 && memcmp(p, "number", n) == 0)
		return number;
	if (n == 3 && memcmp(p, "any", n) == 0)
		return any;
	for (unsigned k = 0; k < KEYS; k++) {
		const struct rights_values *v = &s->value[k];

		if (strlen(keys[k]) != n || memcmp(keys[k], p, n) != 0)
			continue;
		return i < v->n && v->v[i] != NULL && *v->v[i] != '\0' ? v->v[i] : NULL;
	}
	return NULL;
}

/* false: a key has no value, or it is too long. */
static bool fill_in(const struct subject *s, const char *path, unsigned turn,
	char out[TTD_PATH_MAX])
{
	size_t at = 0;

	while (*path != '\0') {
		const char *end = *path == '{' ? strchr(path, '}') : NULL, *v;
		size_t n = 1;

		v = path;
		if (end != NULL) {
			v = value(s, path + 1, (size_t)(end - path) - 1, turn);
			/* A folder of a stranger's archive may be called like a wild card. */
			if (v == NULL || (v != number && v != any && strpbrk(v, wild) != NULL))
				return false;
			n = strlen(v);
		}
		if (at + n >= TTD_PATH_MAX)
			return false;
		memcpy(out + at, v, n);
		at += n;
		path = end != NULL ? end + 1 : path + 1;
	}
	out[at] = '\0';
	return true;
}

static void add(const struct right *r, const struct subject *s, struct sandbox *box)
{
	char path[TTD_PATH_MAX];

	for (unsigned turn = 0; fill_in(s, r->path, turn, path); turn++) {
		if (r->verbs & BY_ITSELF)
			sandbox_read(box, path, r->verbs & HERE);
		if ((r->verbs & ~(unsigned)BY_ITSELF) | r->made | r->young)
			sandbox_name(box, &(struct sandbox_name){path, r->verbs & ~(unsigned)BY_ITSELF,
				r->made, r->young});
		if (strchr(r->path, '{') == NULL)
			break;
	}
}

static void fill_box(const struct subject *s, struct sandbox *box)
{
	memset(box, 0, sizeof *box);
	for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
		const struct right *r = &table[i];

		if (!(r->role & s->role) || (r->when & s->when) != r->when)
			continue;
		box->needs |= r->needs;
		add(r, s, box);
	}
	if (box->needs & SANDBOX_LISTEN) {
		box->nports = s->nports;
		box->port = s->port;
	}
}

int rights_apply(const struct subject *s, struct ttd_error *e)
{
	char key[TTD_PATH_MAX];
	struct sandbox box;
	int rc;

	fill_box(s, &box);
	/* A folder that the user named, a sysroot say, may hold it. */
	box.hidden = path_state(key, PATH_KEY, false) == 0 ? key : NULL;
	rc = sandbox_apply(&box, e);
	sandbox_free(&box);
	return rc;
}
