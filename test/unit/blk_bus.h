/*
 * blk_bus.h - a bus without a hypervisor, for tests and fuzzing of disks: a
 * guest that is a few pages, all granted, and two lists of keys.
 */
#ifndef TEST_BLK_BUS_H
#define TEST_BLK_BUS_H

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "dev/bus.h"

enum { FAKE_PAGES = 64, FAKE_KEYS = 64, FAKE_POSTS = 256 };

struct fake_key {
	enum dev_side side;
	char key[DEV_KEY_MAX], value[DEV_VALUE_MAX];
};

struct fake_post {
	uint8_t p[64];
	size_t n;
};

/* Grant N is page N; those with a bit in `foreign` are not granted, in `ro` for reading. */
struct fake_bus {
	struct dev_bus bus;
	uint8_t page[FAKE_PAGES][DEV_PAGE];
	uint64_t foreign, ro;
	struct fake_key keys[FAKE_KEYS];
	unsigned nkeys, raised, bound;
	uint64_t now;
	struct ttd_error failure; /* text empty: none */
	pthread_mutex_t lock;
	pthread_cond_t posted;
	struct fake_post posts[FAKE_POSTS];
	unsigned first, n;
};

static inline struct fake_bus *fake_of_dev(struct dev *dev)
{
	return (struct fake_bus *)dev->bus;
}

static inline struct fake_key *fake_find(struct fake_bus *f, enum dev_side side, const char *key)
{
	for (unsigned i = 0; i < f->nkeys; i++)
		if (f->keys[i].side == side && strcmp(f->keys[i].key, key) == 0)
			return &f->keys[i];
	return NULL;
}

static inline void fake_set(struct fake_bus *f, enum dev_side side, const char *key,
	const char *value)
{
	struct fake_key *k = fake_find(f, side, key);

	if (k == NULL) {
		if (f->nkeys == FAKE_KEYS || strlen(key) >= DEV_KEY_MAX)
			abort();
		k = &f->keys[f->nkeys++];
		k->side = side;
		strcpy(k->key, key);
	}
	strncpy(k->value, value, sizeof k->value - 1);
}

static inline int fake_read(struct dev *dev, enum dev_side side, const char *key, char *value,
	size_t cap)
{
	const struct fake_key *k = fake_find(fake_of_dev(dev), side, key);

	if (k == NULL || strlen(k->value) >= cap)
		return -1;
	strcpy(value, k->value);
	return (int)strlen(value);
}

static inline int fake_write(struct dev *dev, enum dev_side side, const char *key,
	const char *value)
{
	fake_set(fake_of_dev(dev), side, key, value != NULL ? value : "standard");
	return 0;
}

static inline uint8_t *fake_at(struct fake_bus *f, uint64_t page, unsigned off, size_t n)
{
	if (page >= FAKE_PAGES || off > DEV_PAGE || n > DEV_PAGE - off)
		return NULL;
	return f->page[page] + off;
}

static inline int fake_copy_in(struct dev *dev, uint32_t ref, unsigned off, void *p, size_t n)
{
	struct fake_bus *f = fake_of_dev(dev);
	const uint8_t *at = fake_at(f, ref, off, n);

	if (at == NULL || (f->foreign >> ref & 1))
		return -1;
	memcpy(p, at, n);
	return 0;
}

static inline int fake_copy_out(struct dev *dev, uint32_t ref, unsigned off, const void *p,
	size_t n)
{
	struct fake_bus *f = fake_of_dev(dev);
	uint8_t *at = fake_at(f, ref, off, n);

	if (at == NULL || ((f->foreign | f->ro) >> ref & 1))
		return -1;
	memcpy(at, p, n);
	return 0;
}

static inline dev_page fake_map(struct dev *dev, uint32_t ref)
{
	struct fake_bus *f = fake_of_dev(dev);

	return ref < FAKE_PAGES && !((f->foreign | f->ro) >> ref & 1) ? ref : DEV_NO_PAGE;
}

static inline int fake_page_in(struct dev *dev, dev_page page, unsigned off, void *p, size_t n)
{
	const uint8_t *at = fake_at(fake_of_dev(dev), page, off, n);

	if (at != NULL)
		memcpy(p, at, n);
	return at != NULL ? 0 : -1;
}

static inline int fake_page_out(struct dev *dev, dev_page page, unsigned off, const void *p,
	size_t n)
{
	uint8_t *at = fake_at(fake_of_dev(dev), page, off, n);

	if (at != NULL)
		memcpy(at, p, n);
	return at != NULL ? 0 : -1;
}

static inline int fake_bind(struct dev *dev, unsigned channel, uint32_t port)
{
	struct fake_bus *f = fake_of_dev(dev);

	if (port == 0 || channel >= DEV_CHANNELS)
		return -1;
	f->bound++;
	return 0;
}

static inline void fake_raise(struct dev *dev, unsigned channel)
{
	(void)channel;
	fake_of_dev(dev)->raised++;
}

static inline int fake_post_input(struct dev *dev, const void *p, size_t n)
{
	struct fake_bus *f = fake_of_dev(dev);
	struct fake_post *q;

	pthread_mutex_lock(&f->lock);
	if (f->n == FAKE_POSTS || n > sizeof f->posts[0].p)
		abort();
	q = &f->posts[(f->first + f->n++) % FAKE_POSTS];
	memcpy(q->p, p, n);
	q->n = n;
	pthread_cond_signal(&f->posted);
	pthread_mutex_unlock(&f->lock);
	return 0;
}

static inline uint64_t fake_now(struct dev *dev)
{
	return fake_of_dev(dev)->now;
}

static inline void fake_fail(struct dev *dev, const struct ttd_error *e)
{
	fake_of_dev(dev)->failure = *e;
}

static const struct dev_bus_ops fake_bus_ops = {
	.read = fake_read, .write = fake_write, .copy_in = fake_copy_in,
	.copy_out = fake_copy_out, .map = fake_map, .page_in = fake_page_in,
	.page_out = fake_page_out, .bind = fake_bind, .raise = fake_raise,
	.post = fake_post_input, .now = fake_now, .fail = fake_fail,
};

static inline void fake_bus_init(struct fake_bus *f, bool virtual_clock)
{
	memset(f, 0, sizeof *f);
	f->bus.ops = &fake_bus_ops;
	f->bus.virtual_clock = virtual_clock;
	pthread_mutex_init(&f->lock, NULL);
	pthread_cond_init(&f->posted, NULL);
}

/* Takes the oldest input; waits for one if `wait`.  false: there is none. */
static inline bool fake_take(struct fake_bus *f, bool wait, struct fake_post *out)
{
	bool any;

	pthread_mutex_lock(&f->lock);
	while (wait && f->n == 0)
		pthread_cond_wait(&f->posted, &f->lock);
	any = f->n > 0;
	if (any) {
		*out = f->posts[f->first % FAKE_POSTS];
		f->first++;
		f->n--;
	}
	pthread_mutex_unlock(&f->lock);
	return any;
}

#endif
