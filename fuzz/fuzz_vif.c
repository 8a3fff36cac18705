/*
 * fuzz_vif.c - the network interface's backend behind hostile rings.  The input
 * is a script: a byte says what to do next, its operands follow.  At the end the
 * state is saved, loaded into another one and saved again, which must give the
 * same bytes.
 */
#include "test/unit/dev_bus.h"

#include "dev/vif.h"

enum { TX = 1, RX = 2, CTRL = 3 };

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static struct vif *create(struct fake_bus **b)
{
	static const char *const keys[][2] = { {"tx-ring-ref", "1"}, {"rx-ring-ref", "2"},
		{"ctrl-ring-ref", "3"}, {"event-channel-tx", "9"}, {"event-channel-rx", "10"},
		{"event-channel-ctrl", "11"}, {"event-channel", "12"}, {"request-rx-copy", "1"},
		{"feature-sg", "1"}, {"feature-gso-tcpv4", "1"}, {"feature-gso-tcpv6", "1"} };
	struct vif_spec spec;
	struct vif *v;
	struct ttd_error e;

	if (vif_spec_parse("none", "f", 0, &spec, NULL, NULL, &e) != 0 ||
		(v = vif_create(&spec, 0, false, &e)) == NULL)
		abort();
	*b = fb_create(vif_dev(v));
	if (vif_dev(v)->ops->announce(vif_dev(v), &e) != 0)
		abort();
	for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
		fb_set(*b, DEV_FRONTEND, keys[i][0], keys[i][1]);
	return v;
}

static void destroy(struct vif *v, struct fake_bus *b)
{
	vif_dev(v)->ops->disconnect(vif_dev(v));
	vif_destroy(v);
	free(b);
}

struct script {
	const uint8_t *p;
	size_t n;
};

static unsigned next(struct script *s, unsigned bytes)
{
	unsigned v = 0;

	while (bytes-- > 0 && s->n > 0) {
		v = v << 8 | *s->p++;
		s->n--;
	}
	return v;
}

static void slot(struct script *s, struct fake_bus *b, unsigned ring)
{
	unsigned size = ring == RX ? 8 : ring == TX ? 12 : 16;
	uint32_t prod = get32(b->page[ring]);
	uint8_t *at = b->page[ring] + 64 + prod % (ring == CTRL ? 128 : 256) * size;
	size_t n = s->n < size ? s->n : size;

	memcpy(at, s->p, n);
	s->p += n;
	s->n -= n;
	put32(b->page[ring], prod + 1);
}

static void frame(struct script *s, struct dev *dev)
{
	static uint8_t bytes[DEV_INPUT_MAX];
	size_t n = next(s, 2), have = s->n < n ? s->n : n;

	if (n < have)
		n = have;
	memset(bytes, 0, sizeof bytes);
	memcpy(bytes, s->p, have);
	s->p += have;
	s->n -= have;
	dev->ops->apply(dev, bytes, n);
}

static void step(struct script *s, struct dev *dev, struct fake_bus *b, bool *connected)
{
	unsigned at, what = next(s, 1);

	switch (what % 8) {
	case 0: slot(s, b, TX); break;
	case 1: slot(s, b, RX); break;
	case 2: slot(s, b, CTRL); break;
	case 3:
		at = next(s, 2);
		b->page[TX + at % 3][at / 3 % DEV_PAGE] = (uint8_t)next(s, 1);
		break;
	case 4: frame(s, dev); break;
	case 5: b->grant[next(s, 1) % FB_GRANTS].readonly ^= 1; break;
	case 6:
		if (*connected)
			dev->ops->disconnect(dev);
		memset(b->port, 0, sizeof b->port);
		fb_set(b, DEV_FRONTEND, what & 8 ? "xdp-headroom" : "event-channel-tx",
			what & 16 ? "9" : "700");
		*connected = dev->ops->connect(dev) == 0;
		if (!*connected)
			dev->ops->disconnect(dev);
		break;
	default:
		if (*connected)
			dev->ops->notify(dev, what >> 3);
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct script s = {p, n};
	struct wbuf one = {0}, two = {0};
	struct fake_bus *b, *b2;
	struct vif *v = create(&b), *v2 = create(&b2);
	bool connected = vif_dev(v)->ops->connect(vif_dev(v)) == 0;

	while (s.n > 0)
		step(&s, vif_dev(v), b, &connected);
	vif_dev(v)->ops->save(vif_dev(v), &one, DEV_SAVE_ALL);
	if (vif_dev(v2)->ops->load(vif_dev(v2), &(struct rbuf){ .p = one.p, .len = one.len }) != 0)
		abort();
	vif_dev(v2)->ops->save(vif_dev(v2), &two, DEV_SAVE_ALL);
	if (one.len != two.len || memcmp(one.p, two.p, one.len) != 0)
		abort();
	/* A state out of a file may be anything. */
	vif_dev(v2)->ops->load(vif_dev(v2), &(struct rbuf){ .p = p, .len = n });
	wbuf_free(&one);
	wbuf_free(&two);
	destroy(v, b);
	destroy(v2, b2);
	return 0;
}
