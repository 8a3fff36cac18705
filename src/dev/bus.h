/*
 * bus.h - what a device backend and the hypervisor owe each other.
 *
 * A backend (block, network) is a struct dev with a table of functions that
 * the hypervisor calls; it reaches the guest through the functions of its
 * struct dev_bus only.  It never sees a guest pointer: memory is copied by
 * grant reference or by page token, and every reference, offset and length is
 * checked at each copy.
 *
 *  B1. All functions of dev_ops are called on the vCPU thread, and all of
 *      dev_bus_ops are to be called there, except for post(), which any thread
 *      may call.
 *  B2. notify() is a synchronous guest action: it happens again by itself at
 *      the same instruction of a replay.  So it may depend on guest memory, on
 *      the device's saved state, and on nothing else; what other threads have
 *      got done by then must not show.
 *  B3. Whatever comes from outside goes post() -> event source -> apply(): the
 *      source decides at which instruction apply() is called, a recorder
 *      writes the bytes down, a replayer hands out the recorded ones instead.
 *      In a replay post() does nothing, and apply() comes all the same: a
 *      backend needs not know whether it is replayed, but must not rely on
 *      having posted before.  When it then finds that it cannot do what was
 *      recorded (a disk's base has changed), it calls fail().
 *  B4. On a virtual clock time jumps while the guest idles, so I/O would seem
 *      to take for ever and runs would differ.  There a backend does not post
 *      when it happens to be done; it names a guest time by due(), and posts
 *      in expire() when that has come (waiting for its own threads).
 *      A run may stop following a log and go on by itself: live() then posts
 *      what is in flight, whose completions only the log had.
 *  B5. save() and load() may happen at any position.  What a device is in the
 *      middle of (requests in flight with their data) is part of its state.
 */
#ifndef TTD_DEV_BUS_H
#define TTD_DEV_BUS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/bytes.h"
#include "util/err.h"

enum {
	DEV_MAX = 64,              /* devices of one guest */
	DEV_CHANNELS = 8,          /* event channels of one device */
	DEV_INPUT_MAX = 68 << 10,  /* bytes of one post() */
	DEV_KEY_MAX = 64, DEV_VALUE_MAX = 1024, /* in xenstore */
	DEV_PAGE = 4096,
};

#define DEV_NEVER UINT64_MAX

/* How the log calls a device's inputs. */
enum dev_kind { DEV_BLOCK, DEV_NET, DEV_KINDS };

/* Whose directory in xenstore: ours, or the guest's (which it may fill with anything). */
enum dev_side { DEV_BACKEND, DEV_FRONTEND };

enum dev_save {
	DEV_SAVE_ALL,    /* for load() */
	DEV_SAVE_DIGEST, /* what the guest can ever notice; the same in a replay */
};

struct dev;
struct dev_bus;

struct dev_ops {
	const char *type; /* "vbd", "vif" */
	enum dev_kind kind;
	/*
	 * Before the guest starts: writes the keys of both sides, in the order
	 * that the guest is to see.  The standard ones are written with value
	 * NULL: frontend, frontend-id, online, state (backend's); backend,
	 * backend-id, state (frontend's).
	 */
	int (*announce)(struct dev *dev, struct ttd_error *e);
	/*
	 * The frontend has written its keys (state Initialised or Connected):
	 * read them, map rings, bind event channels, write what it wants to
	 * know.  The bus then sets the state to Connected.  -1: it makes no
	 * sense; the bus undoes it by disconnect() and closes.
	 */
	int (*connect)(struct dev *dev);
	/* The frontend closes or is gone: forget rings and requests.  The bus unbinds. */
	void (*disconnect)(struct dev *dev);
	/* The frontend wrote another key than state, while connected.  May be NULL. */
	void (*changed)(struct dev *dev, const char *key);
	void (*notify)(struct dev *dev, unsigned channel); /* B2 */
	void (*apply)(struct dev *dev, const uint8_t *p, size_t n); /* B3; p is hostile */
	uint64_t (*due)(const struct dev *dev); /* B4: guest ns, DEV_NEVER.  May be NULL. */
	void (*expire)(struct dev *dev);
	void (*save)(struct dev *dev, struct wbuf *w, enum dev_save what); /* B5 */
	int (*load)(struct dev *dev, struct rbuf *r); /* bytes are hostile */
	/*
	 * Around the change from a log to a live source (B3): when quiet() returns nothing
	 * calls post() until live().  Both may be NULL.
	 */
	void (*quiet)(struct dev *dev);
	void (*live)(struct dev *dev);
	/* In the child of a fork that was made after quiet(): threads and files of its own. */
	int (*forked)(struct dev *dev, struct ttd_error *e); /* may be NULL */
	/* At the end of a run: a digest of what the guest left behind.  May be NULL. */
	uint64_t (*content)(struct dev *dev);
	/* The guest is gone: when this returns nothing calls post() any more. */
	void (*detach)(struct dev *dev);
};

/* Backends embed this first, and fill in ops and id. */
struct dev {
	const struct dev_ops *ops;
	uint32_t id;         /* 51712, 0: its name in xenstore */
	struct dev_bus *bus; /* set by the bus, and the rest too */
	unsigned index;
};

/* A page of the guest that stays the ring whatever becomes of its grant. */
typedef uint64_t dev_page;
#define DEV_NO_PAGE UINT64_MAX

struct dev_bus_ops {
	/* xenstore.  read: length of a text, with a NUL after it, -1 when there is none. */
	int (*read)(struct dev *dev, enum dev_side side, const char *key, char *value, size_t cap);
	int (*write)(struct dev *dev, enum dev_side side, const char *key, const char *value);

	/* By grant reference; -1: not granted (for writing), or beyond the page. */
	int (*copy_in)(struct dev *dev, uint32_t ref, unsigned off, void *p, size_t n);
	int (*copy_out)(struct dev *dev, uint32_t ref, unsigned off, const void *p, size_t n);

	/* The same by token, which may be saved.  DEV_NO_PAGE: not granted for writing. */
	dev_page (*map)(struct dev *dev, uint32_t ref);
	int (*page_in)(struct dev *dev, dev_page page, unsigned off, void *p, size_t n);
	int (*page_out)(struct dev *dev, dev_page page, unsigned off, const void *p, size_t n);

	/*
	 * Takes the other end of a port that the guest allocated for us;
	 * notify(dev, channel) comes when it sends, raise() sends to it.
	 */
	int (*bind)(struct dev *dev, unsigned channel, uint32_t port);
	void (*raise)(struct dev *dev, unsigned channel);

	/* [any thread] -1: too much is queued (never for DEV_BLOCK), or no memory. */
	int (*post)(struct dev *dev, const void *p, size_t n);
	/* The guest has sent this frame: for a recorder to witness, and a replay to compare. */
	void (*sent)(struct dev *dev, const void *p, size_t n);
	uint64_t (*now)(struct dev *dev); /* guest time, ns */
	/* Ends the run; *e says why.  For what is wrong on the host, not in the guest. */
	void (*fail)(struct dev *dev, const struct ttd_error *e);
};

struct dev_bus {
	const struct dev_bus_ops *ops;
	bool virtual_clock; /* B4 */
};

/* Keys with numbers.  -1: absent, or not just a decimal number up to max. */
int dev_read_number(struct dev *dev, enum dev_side side, const char *key, uint64_t max,
	uint64_t *value);
int dev_write_number(struct dev *dev, enum dev_side side, const char *key, uint64_t value);

#endif
