/*
 * kbug.c - a kernel module with a bug, for gdb.sh: a copy that is one too long spoils a
 * pointer, which is used much later.  It needs nothing of the kernel, so it is
 * built without the kernel's headers (kmod).
 */
int init_module(void);
void cleanup_module(void);

extern struct {
	char name[8];
	unsigned *counter;
} kbug_record;
__typeof__(kbug_record) kbug_record;
unsigned kbug_count;

__attribute__((noinline)) void kbug_set_name(const char *name, unsigned long n);
__attribute__((noinline)) void kbug_use(void);

void kbug_set_name(const char *name, unsigned long n)
{
	for (unsigned long i = 0; i < n; i++)
		((volatile char *)kbug_record.name)[i] = name[i];
}

void kbug_use(void)
{
	(*(volatile unsigned *)kbug_record.counter)++;
}

int init_module(void)
{
	unsigned long n = 100000000;

	kbug_record.counter = &kbug_count;
	kbug_use();
	kbug_set_name("overflowing name", 16);
	__asm__ volatile("1: dec %0; jnz 1b" : "+r"(n));
	kbug_use();
	return 0;
}

void cleanup_module(void)
{
}
