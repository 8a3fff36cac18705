# thousand.gdb - gdb itself, 1,000 instructions forward and back, in the kernel and
# in a program.
set pagination off
set confirm off
set width 0
python
import os
gdb.execute("file " + os.environ["VICTIM"])
gdb.execute("target remote localhost:" + os.environ["PORT"], to_string=True)
def registers():
	return gdb.execute("info registers", to_string=True)
def there_and_back(what, n):
	seen = []
	for i in range(n):
		seen.append(registers())
		gdb.execute("stepi", to_string=True)
	for i in reversed(range(n)):
		gdb.execute("reverse-stepi", to_string=True)
		if registers() != seen[i]:
			raise gdb.GdbError("%s: %d steps back: %s" % (what, n - i, registers()))
	print("%s: %d steps forward and back" % (what, n))
gdb.execute("monitor seek 30%")
gdb.execute("maintenance flush register-cache", to_string=True)
there_and_back("kernel", 1000)
gdb.execute("break steps_begin", to_string=True)
gdb.execute("continue", to_string=True)
gdb.execute("delete")
there_and_back("program", 1000)
end
