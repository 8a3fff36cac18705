/*
 * origin.c - see origin.h.
 */
#include "trace/origin.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <nettle/hmac.h>

#include "sandbox/sandbox.h"
#include "util/bytes.h"
#include "util/fullio.h"
#include "util/path.h"
#include "util/regular.h"

enum { KEY = 32 };

_Static_assert(LOG_SEAL == SHA256_DIGEST_SIZE, "the seal is all of it");

/* What this process sealed last, without the key that did it. */
static struct {
	pthread_mutex_t lock;
	uint8_t digest[SHA256_DIGEST_SIZE], seal[LOG_SEAL];
	bool have;
} last = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* A META that was found to be ours while the key could be read: it still is. */
static struct {
	pthread_mutex_t lock;
	uint8_t digest[SHA256_DIGEST_SIZE], seal[LOG_SEAL];
	bool have;
} known = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* A whole key or none: it appears by link(), which of two processes lets one win. */
static void make_key(const char *path)
{
	char tmp[TTD_PATH_MAX];
	uint8_t key[KEY];
	struct ttd_error none;
	int fd;

	if (path_join(tmp, path, ".XXXXXX", "", &none) != 0 || (fd = mkostemp(tmp, O_CLOEXEC)) < 0)
		return;
	if (getrandom(key, sizeof key, 0) == sizeof key &&
		pwrite_full(fd, key, sizeof key, 0) == 0 && fsync(fd) == 0 && link(tmp, path) == 0)
		regular_sync_folder(path);
	explicit_bzero(key, sizeof key);
	close(fd);
	unlink(tmp);
}

static int read_key(const char *path, uint8_t key[KEY])
{
	int fd = regular_open(path, REGULAR_NOFOLLOW, NULL);
	struct stat st;
	bool good;

	if (fd < 0)
		return -1;
	/* One that others can read or write proves nothing. */
	good = fstat(fd, &st) == 0 && st.st_uid == geteuid() && (st.st_mode & 077) == 0 &&
		pread(fd, key, KEY, 0) == KEY;
	close(fd);
	return good ? 0 : -1;
}

static int get_key(uint8_t key[KEY], bool make)
{
	char path[TTD_PATH_MAX];

	if (path_state(path, PATH_KEY, false) != 0)
		return -1;
	if (read_key(path, key) == 0)
		return 0;
	if (!make || path_state(path, PATH_KEY, true) != 0)
		return -1;
	make_key(path);
	return read_key(path, key);
}

static int seal_of(const struct log_meta *m, bool make, uint8_t seal[LOG_SEAL])
{
	struct hmac_sha256_ctx h;
	struct wbuf w = {0};
	uint8_t key[KEY];
	int rc = get_key(key, make);

	log_meta_bytes(&w, m);
	if (rc == 0 && !w.bad) {
		hmac_sha256_set_key(&h, KEY, key);
		hmac_sha256_update(&h, w.len, w.p);
		hmac_sha256_digest(&h, LOG_SEAL, seal);
		explicit_bzero(&h, sizeof h);
	}
	explicit_bzero(key, sizeof key);
	rc = rc == 0 && !w.bad ? 0 : -1;
	wbuf_free(&w);
	return rc;
}

int origin_sign(const void *p, size_t n, uint8_t mac[LOG_SEAL])
{
	static const uint8_t label[] = "ttd says";
	struct hmac_sha256_ctx h;
	uint8_t key[KEY];
	int rc = get_key(key, true);

	if (rc == 0) {
		hmac_sha256_set_key(&h, KEY, key);
		hmac_sha256_update(&h, sizeof label, label);
		hmac_sha256_update(&h, n, p);
		hmac_sha256_digest(&h, LOG_SEAL, mac);
		explicit_bzero(&h, sizeof h);
	}
	explicit_bzero(key, sizeof key);
	return rc;
}

static int digest_of(const struct log_meta *m, uint8_t digest[SHA256_DIGEST_SIZE])
{
	struct sha256_ctx h;
	struct wbuf w = {0};
	int rc;

	log_meta_bytes(&w, m);
	sha256_init(&h);
	sha256_update(&h, w.len, w.p);
	sha256_digest(&h, SHA256_DIGEST_SIZE, digest);
	rc = w.bad ? -1 : 0;
	wbuf_free(&w);
	return rc;
}

void origin_seal(struct log_meta *m)
{
	uint8_t digest[SHA256_DIGEST_SIZE];

	memset(m->seal, 0, sizeof m->seal);
	if (digest_of(m, digest) != 0)
		return;
	pthread_mutex_lock(&last.lock);
	if (seal_of(m, true, m->seal) == 0) {
		memcpy(last.digest, digest, sizeof digest);
		memcpy(last.seal, m->seal, sizeof last.seal);
		last.have = true;
	} else if (last.have && memcmp(last.digest, digest, sizeof digest) == 0) {
		memcpy(m->seal, last.seal, sizeof m->seal);
	}
	pthread_mutex_unlock(&last.lock);
}

bool origin_packed(const char *path)
{
	char base[TTD_PATH_MAX], real[PATH_MAX], real_base[PATH_MAX];
	struct ttd_error none;
	size_t n;

	if (path_cache(base, "packs", false, &none) != 0 || realpath(base, real_base) == NULL ||
		realpath(path, real) == NULL)
		return false;
	n = strlen(real_base);
	return strncmp(real, real_base, n) == 0 && real[n] == '/';
}

static void remember(const struct log_meta *m)
{
	pthread_mutex_lock(&known.lock);
	if (digest_of(m, known.digest) == 0) {
		memcpy(known.seal, m->seal, sizeof known.seal);
		known.have = true;
	}
	pthread_mutex_unlock(&known.lock);
}

static bool remembered(const struct log_meta *m)
{
	uint8_t digest[SHA256_DIGEST_SIZE];
	bool is;

	if (digest_of(m, digest) != 0)
		return false;
	pthread_mutex_lock(&known.lock);
	is = known.have && memcmp(digest, known.digest, sizeof digest) == 0 &&
		memcmp(m->seal, known.seal, sizeof known.seal) == 0;
	pthread_mutex_unlock(&known.lock);
	return is;
}

bool origin_ours(const struct log_meta *m, const char *path)
{
	static const uint8_t none[LOG_SEAL];
	uint8_t seal[LOG_SEAL], differs = 0;

	if (*path == '\0' || memcmp(m->seal, none, sizeof none) == 0 || origin_packed(path))
		return false;
	if (seal_of(m, false, seal) != 0)
		return sandbox_in_force() && remembered(m);
	for (unsigned i = 0; i < LOG_SEAL; i++)
		differs |= seal[i] ^ m->seal[i];
	if (differs == 0)
		remember(m);
	return differs == 0;
}
