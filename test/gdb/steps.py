# steps.py - 1,000 steps forward and 1,000 back at each of the given places, and at
# each place on the way back every register is what it was on the way there.
import os
import random
from rsp import Client, median, timed

STEPS = int(os.environ.get('STEPS', '1000'))
SHORT = int(os.environ.get('SHORT', '250'))
c = Client(int(os.environ['PORT']))
random.seed(int(os.environ['SEED']))
times = []
kinds = set()


def there_and_back(name, n):
    seen = []
    for _ in range(n):
        seen.append(c.regs())
        stop = c.run('vCont;s:1')
        assert stop == 'T05thread:1;', stop
    for i in reversed(range(n)):
        times.append(timed(lambda: c.run('bs')))
        now = c.regs()
        if now != seen[i]:
            raise SystemExit('%s: after %d steps back registers differ at icount %d, rip %#x' %
                             (name, n - i, c.icount(seen[i]), c.reg(seen[i], 'rip')))
    # Once more forward, now from where reversing left it.
    for i in range(min(n, 20)):
        assert c.regs() == seen[i], '%s: forward again' % name
        c.run('s')
    icounts = [c.icount(r) for r in seen]
    if len(set(icounts)) < n:
        kinds.add('exception')
    if len(set(c.tail(r, 7) for r in seen)) > 1:
        kinds.add('page tables')
    rips = [c.reg(r, 'rip') for r in seen]
    if any((a ^ b) >> 63 for a, b in zip(rips, rips[1:])):
        kinds.add('kernel and user')
    return seen


def rep_seen(seen):
    for r in seen:
        code = c.memory(c.reg(r, 'rip'), 3)
        if code and code[0] in (0xf2, 0xf3) and code[-1] in (0xa4, 0xa5, 0xaa, 0xab):
            return True
    return False


def change_of_cr3(lo, hi):
    """The icount of a change of page tables, which are not the same at lo and at hi."""
    def cr3(icount):
        c.monitor('seek %d' % icount)
        return c.tail(c.regs(), 7)

    before = cr3(lo)
    assert cr3(hi) != before, 'parent and child share their page tables'
    while hi - lo > 1:
        mid = (lo + hi) // 2
        if cr3(mid) == before:
            lo = mid
        else:
            hi = mid
    return hi


def main():
    begin = int(os.environ['BEGIN'], 16)
    child = int(os.environ['CHANGING'], 16)
    # A breakpoint in user code, forwards.
    c.ask('Z0,%x,1' % begin)
    stop = c.run('vCont;c')
    assert stop == 'T05thread:1;swbreak:;', stop
    assert c.reg(c.regs(), 'rip') == begin
    c.ask('z0,%x,1' % begin)
    if rep_seen(there_and_back('user code', STEPS)):
        kinds.add('rep')
    # Code that changes itself, in the child and then in the parent.
    c.ask('Z1,%x,1' % child)
    calls = []
    for who in 'child', 'parent':
        stop = c.run('vCont;c')
        assert stop == 'T05thread:1;hwbreak:;', stop
        calls.append(c.icount())
        c.ask('z1,%x,1' % child)
        there_and_back('changing code of the ' + who, STEPS)
        c.ask('Z1,%x,1' % child)
        c.run('vCont;s')
    stop = c.run('bc')
    assert stop == 'T05thread:1;hwbreak:;', stop
    c.ask('z1,%x,1' % child)
    # From one address space to the other, which no event in the log needs to tell of.
    c.monitor('seek %d' % (change_of_cr3(*calls) - SHORT // 2))
    there_and_back('the switch to the parent', SHORT)
    # Around what the log says is there.
    for place in os.environ['PLACES'].split():
        name, icount = place.split('@')
        c.monitor('seek %d' % (int(icount) - SHORT // 2))
        there_and_back(name, SHORT)
    # Anywhere.
    for _ in range(4):
        at = random.randrange(int(os.environ['END']) - SHORT)
        c.monitor('seek %d' % at)
        assert c.icount() == at
        there_and_back('icount %d' % at, SHORT)
    missing = {'exception', 'page tables', 'kernel and user', 'rep'} - kinds
    assert not missing, missing
    print('%d steps back: median %.2f ms, worst %.1f ms' %
          (len(times), median(times) * 1e3, max(times) * 1e3))


main()
print('steps.py: fine')
