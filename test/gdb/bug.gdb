# bug.gdb - from the crash back to the store that spoilt the pointer.
set pagination off
set confirm off
set width 0
set disassembly-flavor att
python
import os, time
def timed(command):
	start = time.monotonic()
	gdb.execute(command)
	print("TIME %s: %.2f s" % (command, time.monotonic() - start))
gdb.execute("file " + os.environ["VICTIM"])
gdb.execute("target remote localhost:" + os.environ["PORT"])
end
break use
continue
continue
echo AT the crash\n
print record.counter
watch -l record.counter
delete 1
python timed("reverse-continue")
echo AT the store\n
backtrace
print record.counter
print i
# What gdb makes of stepping backwards.
delete
reverse-finish
echo AT the call\n
frame
next
echo AFTER the call\n
reverse-step
reverse-step
reverse-step
echo IN it again\n
backtrace 1
reverse-continue
