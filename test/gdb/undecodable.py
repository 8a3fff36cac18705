# undecodable.py - breakpoints at bytes that are no instruction, and steps over them.
# FAULTS has a line for each fault of the recording: icount and rip.
import os
import random
from rsp import Client

c = Client(int(os.environ['PORT']))
random.seed(int(os.environ['SEED']))
faults = [(int(i), int(ip, 16)) for i, ip in (line.split() for line in open(os.environ['FAULTS']))]


def stops(kind, ip, how, word):
    """Where a breakpoint at ip stops, from here to the end of the recording."""
    found = []
    c.ask('%s,%x,1' % ('Z' + kind, ip))
    while True:
        stop = c.run(how)
        if word not in stop:
            break
        regs = c.regs()
        assert c.reg(regs, 'rip') == ip, hex(c.reg(regs, 'rip'))
        found.append(c.icount(regs))
    c.ask('%s,%x,1' % ('z' + kind, ip))
    return found


def breakpoints(ip):
    """Each fault at ip is a stop there, the same ones both ways and by both kinds."""
    want = [i for i, at in faults if at == ip]
    for kind, word in ('0', 'swbreak'), ('1', 'hwbreak'):
        c.monitor('seek 0')
        there = stops(kind, ip, 'vCont;c', word)
        c.monitor('seek end')
        back = stops(kind, ip, 'bc', word)
        assert back[::-1] == there, (hex(ip), kind, there, back)
        # What is there may be an instruction as well, at other times.
        assert set(want) <= set(there), (hex(ip), kind, want, there)
    return len(there)


def steps(icount, ip):
    """From a little before the fault to a little after it, and back."""
    c.monitor('seek %d' % (icount - 5))
    seen = []
    for _ in range(12):
        seen.append(c.regs())
        c.run('vCont;s:1')
    assert ip in [c.reg(r, 'rip') for r in seen], 'the fault at %d is stepped over' % icount
    for r in reversed(seen):
        c.run('bs')
        assert c.regs() == r, 'another way back at %d' % c.icount(r)


addresses = sorted(set(ip for _, ip in faults))
n = sum(breakpoints(ip) for ip in random.sample(addresses, 8))
for icount, ip in random.sample(faults, 25):
    steps(icount, ip)
c.send('k')
print('undecodable.py: fine: %d stops' % n)
