"""Reads telemetry blocks as firmware/reach/wire/doc.go describes them, from nothing but that text.

usage: wire_block.py CHANNELS MINUTE LOGISTIC.GO < hexadecimal blocks, one a line; prints each block's rows as JSON.
"""
import copy, json, re, sys

L = [int(x) for x in re.findall(r"\d+", open(sys.argv[3]).read().split("{", 1)[1])]
TOP, HALF, QUARTER, WHOLE, WEEK = (1 << 32) - 1, 1 << 31, 1 << 30, 1 << 16, 10080


class Bits:
    def __init__(self, b):
        self.b, self.n = b, 0

    def bit(self):
        v = (self.b[self.n // 8] >> (7 - self.n % 8)) & 1 if self.n < 8 * len(self.b) else 0
        self.n += 1
        return v

    def take(self, n):
        v = 0
        for _ in range(n):
            v = v << 1 | self.bit()
        return v


class Arithmetic:
    def __init__(self, r):
        self.r, self.low, self.high, self.value = r, 0, TOP, r.take(32)

    def at(self):
        return ((self.value - self.low + 1) * WHOLE - 1) // (self.high - self.low + 1)

    def code(self, a, b):
        r = self.high - self.low + 1
        self.high, self.low = self.low + r * b // WHOLE - 1, self.low + r * a // WHOLE
        while True:
            if self.high < HALF:
                o = 0
            elif self.low >= HALF:
                o = HALF
            elif self.low >= QUARTER and self.high < 3 * QUARTER:
                o = QUARTER
            else:
                return
            self.low = (self.low - o) << 1
            self.high = (self.high - o) << 1 | 1
            self.value = (self.value - o) << 1 | self.r.bit()

    def raw(self, n):
        v = 0
        while n:
            k = min(n, 8)
            n -= k
            x = self.at() >> (16 - k)
            self.code(x << (16 - k), (x + 1) << (16 - k))
            v = v << k | x
        return v

    def flags(self, n, only):
        out, yes, every = [], 1, 2
        for i in range(n):
            if not only[i]:
                out.append(False)
                continue
            e = yes * (WHOLE - 2) // every + 1
            if self.at() < e:
                self.code(0, e)
                out.append(True)
                yes += 1
            else:
                self.code(e, WHOLE)
                out.append(False)
            every += 1
        return out


def unzig(u):
    return (u >> 1) ^ -(u & 1)


def toward_zero(a, b):
    return a // b if a >= 0 else -(-a // b)


def curve(t):
    if t < 0:
        return (1 << 22) - curve(-t)
    t = min(t, 8191)
    i, f = t >> 5, t & 31
    return L[i] + ((L[i + 1] - L[i]) * f >> 5)


class Channel:
    seen = False

    def start(self, v):
        self.seen, self.last, self.slope, self.scale, self.count = True, v, 0, 512, 0
        self.smooth = [256 * v] * 4
        self.miss = [256 + j for j in range(8)]

    def guess(self, j):
        return self.smooth[j] if j < 4 else self.smooth[j - 4] + (self.slope * (2, 3, 5, 10)[j - 4] >> 1)

    def best(self):
        return self.guess(min(range(8), key=lambda j: self.miss[j]))

    def read(self, c):
        if not self.seen:
            v = unzig(c.raw(c.raw(6)))
            self.start(v)
            return v
        best = self.best()
        centre, shift = (best + 128) >> 8, 0
        while self.scale >> 8 >> shift >= 64:
            shift += 1

        def below(d):
            if d <= -255:
                return 0
            if d > 255:
                return 65023
            t = toward_zero(((centre + (d << shift)) * 256 - 128 - best) * 1024, self.scale)
            return (curve(t) * 64512 >> 22) + d + 255

        at = c.at()
        if at >= 65023:
            c.code(65023, 65536)
            v = unzig(c.raw(32))
        else:
            d = max(x for x in range(-255, 256) if below(x) <= at)
            c.code(below(d), below(d + 1))
            v = centre + (d << shift) + c.raw(shift)
        self.learn(v)
        return v

    def learn(self, v):
        off = min(abs(256 * v - self.best()), 16 * self.scale + 256)
        self.count = min(self.count + 1, 16)
        m = max(2, self.count)
        self.scale = min(max((self.scale * (m - 1) + off * 5 // 4) // m, 16), 1 << 40)
        guesses = [self.guess(j) for j in range(8)]
        for j in range(8):
            self.miss[j] += (abs(256 * v - guesses[j]) - self.miss[j]) >> 4
        self.slope += ((v - self.last) * 256 - self.slope) >> 3
        for i in range(4):
            self.smooth[i] += (256 * v - self.smooth[i]) >> i
        self.last = v


def crc(b):
    c = 0xFFFF
    for x in b:
        c ^= x << 8
        for _ in range(8):
            c = (c << 1 ^ 0x1021) & 0xFFFF if c & 0x8000 else c << 1
    return c


def block(b, channels, near, have):
    r = Bits(b)
    r.take(3)
    number, key, gaps, thinned, after, back, n, check = (r.take(k) for k in (6, 1, 1, 1, 1, 4, 7, 16))
    back, n = back + 1, n + 1
    minute = step = None
    if key or not after:
        minute = r.take(14)
        minute = min((near - near % WEEK + minute + k * WEEK for k in (-1, 0, 1)), key=lambda m: abs(m - near))
    if key:
        step = r.take(8) + 1
        state = [Channel() for _ in range(channels)]
    else:
        end, step, state = copy.deepcopy(have[(number - back) % 64])
        if after:
            minute = end + step
    c = Arithmetic(r)
    rows = [[None] * channels for _ in range(n)]
    said = bytes([channels]) + minute.to_bytes(4, "big") + step.to_bytes(2, "big")
    for ch in range(channels):
        there = c.flags(n, [True] * n) if gaps else [True] * n
        kept, level = there, 0
        if thinned:
            level = c.raw(4)
            if level:
                kept = c.flags(n, there)
        for i in range(n):
            if kept[i]:
                rows[i][ch] = state[ch].read(c)
        before, filled = None, set()
        for i in range(n):
            if not there[i]:
                before = None
            elif kept[i]:
                for j in range(before + 1, i) if before is not None else ():
                    a, z = rows[before][ch], rows[i][ch]
                    rows[j][ch] = a + ((z - a) * (j - before) * 2 + (i - before)) // (2 * (i - before))
                    filled.add(j)
                before = i
        for i in range(n):
            v = rows[i][ch]
            said += b"\0" if v is None else bytes([2 if i in filled else 1]) + (v & 0xFFFFFFFF).to_bytes(4, "big")
    if crc(said) != check:
        sys.exit("block %d: the check does not agree" % number)
    have[number] = (minute + (n - 1) * step, step, state)
    return {"minute": minute, "step": step, "rows": rows}


have = {}
for line in sys.stdin:
    print(json.dumps(block(bytes.fromhex(line.strip()), int(sys.argv[1]), int(sys.argv[2]), have)))
