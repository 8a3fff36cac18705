/*
 * dev_bus.h - for tests of src/dev: a bus with a guest that is nothing but pages,
 * a grant table and keys.  It checks what a backend owes the bus: offsets, lengths
 * and references are the guest's, so the bus refuses what is wrong, as the real
 * one does.
 */
#ifndef DEV_BUS_H
#define DEV_BUS_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dev/bus.h"

enum { FB_PAGES = 64, FB_GRANTS = 64, FB_KEYS = 80, FB_PORTS = 32 };

struct fake_bus {
	struct dev_bus bus; /* first: a dev's `bus` points here */
	uint8_t page[FB_PAGES][DEV_PAGE];
	struct {
		bool valid, readonly;
		unsigned page;
	} grant[FB_GRANTS];
	struct {
		enum dev_side side;
		char key[DEV_KEY_MAX], value[DEV_VALUE_MAX];
	} key[FB_KEYS];
	unsigned nkeys;
	uint32_t port[DEV_CHANNELS];
	unsigned raised[DEV_CHANNELS];
	unsigned sent;            /* frames */
	uint32_t sent_len;        /* of the last */
	uint64_t sent_sum;        /* of the bytes of all */
	uint64_t now;
};

static struct fake_bus *fb_of(struct dev *dev) { return (struct fake_bus *)dev->bus; }

static int fb_find(const struct fake_bus *b, enum dev_side side, const char *key)
{
	for (unsigned i = 0; i < b->nkeys; i++)
		if (b->key[i].side == side && strcmp(b->key[i].key, key) == 0)
			return (int)i;
	return -1;
}

static void fb_set(struct fake_bus *b, enum dev_side side, const char *key, const char *value)
{
	int i = fb_find(b, side, key);

	if (i < 0 && b->nkeys == FB_KEYS)
		abort();
	if (i < 0)
		i = (int)b->nkeys++;
	b->key[i].side = side;
	snprintf(b->key[i].key, DEV_KEY_MAX, "%s", key);
	snprintf(b->key[i].value, DEV_VALUE_MAX, "%s", value != NULL ? value : "");
}

static int fb_read(struct dev *dev, enum dev_side side, const char *key, char *value, size_t cap)
{
	struct fake_bus *b = fb_of(dev);
	int i = fb_find(b, side, key);

	if (i < 0 || strlen(b->key[i].value) >= cap)
		return -1;
	strcpy(value, b->key[i].value);
	return (int)strlen(value);
}

static int fb_write(struct dev *dev, enum dev_side side, const char *key, const char *value)
{
	fb_set(fb_of(dev), side, key, value);
	return 0;
}

static uint8_t *fb_at(struct fake_bus *b, uint64_t page, unsigned off, size_t n)
{
	if (page >= FB_PAGES || off > DEV_PAGE || n > DEV_PAGE - off)
		return NULL;
	return b->page[page] + off;
}

static uint64_t fb_granted(const struct fake_bus *b, uint32_t ref, bool write)
{
	if (ref >= FB_GRANTS || !b->grant[ref].valid || (write && b->grant[ref].readonly))
		return DEV_NO_PAGE;
	return b->grant[ref].page;
}

static int fb_page_in(struct dev *dev, dev_page page, unsigned off, void *p, size_t n)
{
	const uint8_t *at = fb_at(fb_of(dev), page, off, n);

	if (at == NULL)
		return -1;
	memcpy(p, at, n);
	return 0;
}

static int fb_page_out(struct dev *dev, dev_page page, unsigned off, const void *p, size_t n)
{
	uint8_t *at = fb_at(fb_of(dev), page, off, n);

	if (at == NULL)
		return -1;
	memcpy(at, p, n);
	return 0;
}

static int fb_copy_in(struct dev *dev, uint32_t ref, unsigned off, void *p, size_t n)
{
	return fb_page_in(dev, fb_granted(fb_of(dev), ref, false), off, p, n);
}

static int fb_copy_out(struct dev *dev, uint32_t ref, unsigned off, const void *p, size_t n)
{
	return fb_page_out(dev, fb_granted(fb_of(dev), ref, true), off, p, n);
}

static dev_page fb_map(struct dev *dev, uint32_t ref)
{
	return fb_granted(fb_of(dev), ref, true);
}

static int fb_bind(struct dev *dev, unsigned channel, uint32_t port)
{
	struct fake_bus *b = fb_of(dev);

	if (channel >= DEV_CHANNELS || b->port[channel] != 0 || port == 0 || port >= FB_PORTS)
		return -1;
	b->port[channel] = port;
	return 0;
}

static void fb_raise(struct dev *dev, unsigned channel)
{
	if (channel < DEV_CHANNELS && fb_of(dev)->port[channel] != 0)
		fb_of(dev)->raised[channel]++;
}

static int fb_post(struct dev *dev, const void *p, size_t n)
{
	(void)dev;
	(void)p;
	return n <= DEV_INPUT_MAX ? 0 : -1;
}

static void fb_sent(struct dev *dev, const void *p, size_t n)
{
	struct fake_bus *b = fb_of(dev);

	b->sent++;
	b->sent_len = (uint32_t)n;
	for (size_t i = 0; i < n; i++)
		b->sent_sum = b->sent_sum * 31 + ((const uint8_t *)p)[i];
}

static uint64_t fb_now(struct dev *dev) { return fb_of(dev)->now; }

static void fb_fail(struct dev *dev, const struct ttd_error *e)
{
	(void)dev;
	(void)e;
}

static const struct dev_bus_ops fb_ops = {
	.read = fb_read, .write = fb_write, .copy_in = fb_copy_in, .copy_out = fb_copy_out,
	.map = fb_map, .page_in = fb_page_in, .page_out = fb_page_out, .bind = fb_bind,
	.raise = fb_raise, .post = fb_post, .sent = fb_sent, .now = fb_now, .fail = fb_fail,
};

/* Pages are granted under their own numbers. */
static struct fake_bus *fb_create(struct dev *dev)
{
	struct fake_bus *b = calloc(1, sizeof *b);

	if (b == NULL)
		abort();
	b->bus.ops = &fb_ops;
	dev->bus = &b->bus;
	for (unsigned i = 0; i < FB_GRANTS; i++) {
		b->grant[i].valid = i > 0;
		b->grant[i].page = i;
	}
	return b;
}

#endif
