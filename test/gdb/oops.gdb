# oops.gdb - from a kernel's oops to the store that spoilt the pointer, by the kernel's
# own symbols only.
set pagination off
set confirm off
set width 0
break *xen_asm_exc_general_protection
reverse-continue
delete
echo AT the handler\n
info symbol *(unsigned long *) ($rsp + 24)
reverse-stepi
echo AT the fault\n
info symbol $rip
x/i $rip
watch *(unsigned long *) ((char *) &kbug_record + 8)
python
import time
start = time.monotonic()
gdb.execute("reverse-continue")
print("TIME reverse-continue from the oops: %.2f s" % (time.monotonic() - start))
end
echo AT the store\n
info symbol $rip
x/i $rip
backtrace 4
