/*
 * test_config.c - xl/xm configuration files: what the keys mean, what is
 * refused, what is warned of.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "cmd/config.h"

static char warned[1000];

static void warn(void *ctx, const char *line)
{
	(void)ctx;
	strncat(warned, line, sizeof warned - strlen(warned) - 2);
	strcat(warned, "\n");
}

static int parse(const char *text, struct config *c, struct ttd_error *e)
{
	warned[0] = '\0';
	return config_parse("t", text, strlen(text), c, warn, NULL, e);
}

#define HEAD "name = 'd'\nkernel = \"k\"\n"

static void keys(void **state)
{
	struct config c;
	struct ttd_error e;

	(void)state;
	assert_int_equal(parse("# comment\nname='a.b-1'; kernel = \"/k\"\nramdisk=\"/r\"\n"
		"memory = 512\nvcpus = \"1\"\nextra = \"quiet x=\\\"y z\\\"\"\nroot='/dev/xvda1 ro'\n"
		"on_poweroff = 'preserve'\non_crash = 'restart'\ntype = 'pv'\nclock = 'virtual'\ncpu = 'max'\n",
		&c, &e), 0);
	assert_string_equal(c.name, "a.b-1");
	assert_string_equal(c.kernel, "/k");
	assert_string_equal(c.ramdisk, "/r");
	assert_string_equal(c.cmdline, "root=/dev/xvda1 ro quiet x=\"y z\"");
	assert_int_equal(c.memory_mb, 512);
	assert_int_equal(c.maxmem_mb, 512);
	assert_int_equal(c.on_poweroff, ACTION_PRESERVE);
	assert_int_equal(c.on_reboot, ACTION_RESTART);
	assert_int_equal(c.on_crash, ACTION_RESTART);
	assert_true(c.virtual_clock);
	assert_string_equal(c.cpu, "max");
	assert_false(c.record || c.replay);
	assert_string_equal(warned, "");
	config_free(&c);
}

static void travel(void **state)
{
	static const struct {
		const char *text;
		int rc;
		bool record, replay;
		const char *trace;
	} cases[] = {
		{"'ttd_flag=1'", 0, true, false, NULL},
		{"'ttd_flag=1, tt_replay_flag=1'", 0, false, true, NULL},
		{"[ 'ttd_flag=1', 'tt_replay_flag=1' ]", 0, false, true, NULL},
		{"[ 'tt_replay_flag = 1 ,ttd_flag = 1' ]", 0, false, true, NULL},
		{"'ttd_flag=1,tt_replay_flag=0,'", 0, true, false, NULL},
		{"'ttd_flag=0'", 0, false, false, NULL},
		{"''", 0, false, false, NULL},
		{"'ttd_flag=1,trace=x/y'", 0, true, false, "x/y"},
		{"'trace=x'", -1, false, false, NULL},
		{"'tt_replay_flag=1'", -1, false, false, NULL},
		{"'ttd_flag=2'", -1, false, false, NULL},
		{"'ttd_flag'", -1, false, false, NULL},
		{"[ [ 'ttd_flag=1' ] ]", -1, false, false, NULL},
	};
	struct config c;
	struct ttd_error e;
	char text[200];

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		snprintf(text, sizeof text, HEAD "time_travel = %s\n", cases[i].text);
		assert_int_equal(parse(text, &c, &e), cases[i].rc);
		if (cases[i].rc == 0) {
			assert_int_equal(c.record, cases[i].record);
			assert_int_equal(c.replay, cases[i].replay);
			if (cases[i].trace != NULL)
				assert_string_equal(c.trace, cases[i].trace);
			else
				assert_null(c.trace);
		} else {
			assert_int_equal(e.status, TTD_USAGE);
			assert_non_null(strstr(e.text, "time_travel"));
		}
		config_free(&c);
	}
}

static void refused(void **state)
{
	static const struct {
		const char *text, *why;
	} cases[] = {
		{"kernel='k'\n", "name: is missing"},
		{"name='d'\n", "kernel: is missing"},
		{HEAD "vcpus = 2\n", "vcpus: "}, {HEAD "maxvcpus = 4\n", "maxvcpus: "},
		{HEAD "memory = 63\n", "memory: "}, {HEAD "memory = '1G'\n", "memory: "},
		{HEAD "memory = 128\nmaxmem = 127\n", "maxmem: "},
		{HEAD "maxmem = 65537\n", "maxmem: "}, {HEAD "strict_mmu = 2\n", "strict_mmu: "},
		{HEAD "memory = [ 1 ]\n", "memory: is a list"},
		{HEAD "type = 'pvh'\n", "type: "}, {HEAD "builder = 'hvm'\n", "builder: "},
		{HEAD "on_reboot = 'x'\n", "on_reboot: give"}, {HEAD "clock = 'x'\n", "clock: "},
		{HEAD "cpu = 'v4'\n", "cpu: give v2, v3 or max"},
		{HEAD "extra = \"a\n", "t:3: "}, {HEAD "a b\n", "t:3: "},
		{HEAD "x = [ 'a'\n", "t:3: "},
		{HEAD "disk = 'phy:/a,xvda,w'\n", "t: disk: give a list"},
		{HEAD "disk = [ [ 'x' ] ]\n", "t: disk: is not a list of strings"},
		{HEAD "disk = [ '/a' ]\n", "t: disk: '/a'"},
		{HEAD "disk = [ '/a,qcow2,xvda,w' ]\n", "the format must be raw"},
		{HEAD "disk = [ '/a,raw,xvda,q' ]\n", "t: disk: '/a,raw,xvda,q'"},
		{HEAD "disk = [ 'script=block-x,vdev=xvda,target=/a' ]\n", "scripts are not run"},
		{HEAD "disk = [ 'vdev=hdc,devtype=cdrom,access=ro,format=empty' ]\n", "empty drive"},
	};
	struct config c;
	struct ttd_error e;

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		assert_int_equal(parse(cases[i].text, &c, &e), -1);
		if (strstr(e.text, cases[i].why) == NULL || strchr(e.text, '\n') != NULL)
			fail_msg("'%s' says '%s'", cases[i].text, e.text);
		assert_int_equal(e.status, TTD_USAGE);
		config_free(&c);
	}
	assert_int_equal(config_parse("t", "a\0b", 3, &c, warn, NULL, &e), -1);
	config_free(&c);
}

static void disks(void **state)
{
	static const struct {
		const char *spec, *name, *target;
		int read_only, cdrom, no_discard;
	} cases[] = {
		{"/a b,raw,xvda,rw", "xvda", "/a b", 0, 0, 0},
		{"/a,raw,xvda1,ro", "xvda1", "/a", 1, 0, 0},
		{"phy:/dev/x,xvda,w", "xvda", "/dev/x", 0, 0, 0},
		{"file:/x,sdb,r", "sdb", "/x", 1, 0, 0},
		{"/x.iso,,hdc:cdrom,r", "hdc", "/x.iso", 1, 1, 0},
		{"vdev=xvdz,access=rw,no-discard,target=/a,b=c", "xvdz", "/a,b=c", 0, 0, 1},
		{"nbd:h:10809/x,raw,xvda,rw", "xvda", "nbd:h:10809/x", 0, 0, 0},
		{"nbd://h/x,xvda,r", "xvda", "nbd://h/x", 1, 0, 0},
		{"vdev=xvda,target=nbd+unix:///x,y?socket=/s", "xvda", "nbd+unix:///x,y?socket=/s",
			0, 0, 0},
		{"nbd+unix:///?socket=/s,vdev=xvda", "xvda", "nbd+unix:///?socket=/s", 0, 0, 0},
	};
	struct disk_list l = {0};
	struct ttd_error e;

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		if (disk_list_add(&l, "t", cases[i].spec, &e) != 0)
			fail_msg("'%s': %s", cases[i].spec, e.text);
		assert_string_equal(l.disk[0].name, cases[i].name);
		assert_string_equal(l.disk[0].target, cases[i].target);
		assert_int_equal(l.disk[0].read_only, cases[i].read_only);
		assert_int_equal(l.disk[0].cdrom, cases[i].cdrom);
		assert_int_equal(l.disk[0].no_discard, cases[i].no_discard);
		disk_list_free(&l);
	}
	for (int i = 0; i < TTD_DISKS_MAX; i++)
		assert_int_equal(disk_list_add(&l, "t", "/a,raw,xvda,rw", &e), 0);
	assert_int_equal(disk_list_add(&l, "t", "/a,raw,xvda,rw", &e), -1);
	disk_list_free(&l);
	assert_int_equal(disk_list_add_base(&l, "t", "xvda=/a=b", &e), 0);
	assert_string_equal(l.disk[0].target, "/a=b");
	assert_int_equal(disk_list_add_base(&l, "t", "=/a", &e), -1);
	assert_int_equal(disk_list_add_base(&l, "t", "xvda=", &e), -1);
	disk_list_free(&l);
}

static void warnings(void **state)
{
	struct config c;
	struct ttd_error e;

	(void)state;
	assert_int_equal(parse(HEAD "cpuid = [ 'phy:a,xvda,w' ]\ncpus='1'\nextra='not=1 seen=2'\n"
		"# nor = 3\ncpus='2'\nuuid = \"nope = 4\"\n", &c, &e), 0);
	assert_string_equal(warned, "t: cpuid: has no effect here and is ignored\n"
		"t: cpus: has no effect here and is ignored\n"
		"t: uuid: has no effect here and is ignored\n");
	config_free(&c);
	assert_int_equal(parse(HEAD "cmdline='a'\nextra='b'\n", &c, &e), 0);
	assert_string_equal(c.cmdline, "a");
	assert_non_null(strstr(warned, "beside cmdline"));
	config_free(&c);
}

static void words(void **state)
{
	char w0[] = "memory=100", w1[] = "extra=a 'b' \"c\" \\d";
	char w2[] = "time_travel=ttd_flag=1, tt_replay_flag=1", w3[] = "memory=128";
	char *const w[] = {w0, w1, w2, w3};
	char path[] = "/tmp/ttd-config-XXXXXX";
	int fd = mkstemp(path);
	struct config c;
	struct ttd_error e;

	(void)state;
	assert_int_equal(write(fd, HEAD "memory=256", strlen(HEAD) + 10), strlen(HEAD) + 10);
	close(fd);
	assert_int_equal(config_read(path, w, 2, &c, warn, NULL, &e), 0);
	assert_string_equal(c.cmdline, "a 'b' \"c\" \\d");
	assert_int_equal(c.memory_mb, 100);
	config_free(&c);
	assert_int_equal(config_read(path, w + 2, 2, &c, warn, NULL, &e), 0);
	assert_true(c.replay);
	assert_int_equal(c.memory_mb, 128);
	config_free(&c);
	assert_int_equal(config_read("/", NULL, 0, &c, warn, NULL, &e), -1);
	config_free(&c);
	unlink(path);
	assert_int_equal(config_read(path, NULL, 0, &c, warn, NULL, &e), -1);
	config_free(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keys), cmocka_unit_test(travel), cmocka_unit_test(refused),
		cmocka_unit_test(disks), cmocka_unit_test(warnings), cmocka_unit_test(words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
