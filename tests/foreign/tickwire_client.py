"""A Tickwire client above the session layer, written from docs/protocol.md alone.

It is the proof that the document suffices: Python 3, its standard library, nothing of this repository. Numbers in
comments are sections of the document. Netcode (2) is left to whoever starts this program, because the standard
library has no ciphers: payloads come and go in the clear, as lines of hexadecimal digits.

Lines in, one command each:
    schema JSON            what the world consists of (7), the first line
    tables FILE            what is known of how it moves (8.5.5), the second
    payload MICROS HEX     a payload arrived
    input TICK HEX         what the player wants to do at a tick
    send CHANNEL HEX       a message
    forget                 lose all snapshots, as a client with a bug would
    leave                  say goodbye
    at MICROS              time passes; answered by everything there is to tell, and then by "done"

Lines out: payload HEX; welcome, message, margin, warning, goodbye with their fields; refused NAME; and for each part
that was applied all that the client holds of that tick: part TICK WHOLE COMPLETE, and for each entity
SLOT:GENERATION:KIND:AS_OF:VALUE:VALUE:...
"""

import json
import math
import struct
import sys

PROTOCOL_VERSION = 2  # 12
ASKS, ACKS, LONG_NUMBER, LONG_ACK, MESSAGES = 1, 2, 4, 8, 16  # 3.1
HELLO, WELCOME, INPUTS, MARGIN, GOODBYE, RESYNC, WARNING, SNAPSHOT = range(1, 9)  # 5
SHORT_REACH = 16384  # 3.2
WINDOW = 64  # 3.2, 3.3
MESSAGE_WINDOW = 1024  # 4.4
MAX_PAYLOAD = 1200
MAX_AGE = 31  # 8.5, 8.7
KEPT = 64  # 8.7
CLOSED_BY_CLIENT = 1  # 11.1


class Refused(Exception):
    """What this client does not take, under the names of section 10."""


def widen(low, reference):
    """1: the number with these low 16 bits that is nearest to the reference."""
    ahead = (low - reference) % 65536
    near, other = reference + ahead, reference + ahead - 65536
    if ahead >= 32768:
        near, other = other, near
    return near if 0 <= near < 1 << 64 else other


class Bytes:
    """1: little-endian bytes."""

    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, count, name="truncated"):
        taken = self.data[self.at : self.at + count]
        if len(taken) < count:
            raise Refused(name)
        self.at += count
        return taken

    def number(self, count, name="truncated"):
        return int.from_bytes(self.take(count, name), "little")

    def varint(self):
        value = 0
        for shift in range(0, 70, 7):
            byte = self.number(1, "bad_varint")
            value |= (byte & 127) << shift
            if byte < 128:
                if value >= 1 << 64 or (byte == 0 and shift > 0):
                    break
                return value
        raise Refused("bad_varint")

    def rest(self):
        return self.take(len(self.data) - self.at)

    def is_empty(self):
        return self.at == len(self.data)


def varint(value):
    out = bytearray()
    while value >= 128:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def u16(value):
    return (value & 0xFFFF).to_bytes(2, "little")


# 7: the schema


class Field:
    """7.1: a quantity's raw numbers. Values are kept as raw numbers throughout, and shown as values."""

    def __init__(self, said):
        self.name, self.quantity = said["name"], said["quantity"]
        self.group, self.motion = said.get("group", ""), said.get("motion", "any")
        self.velocity, self.rotation = said.get("velocity", ""), said.get("rotation", False)
        low = 0.0
        if self.quantity == "ranged":
            low, high, step = (struct.unpack("<f", struct.pack("<f", said[key]))[0] for key in ("min", "max", "step"))
            self.max = int((high - low) / step + 0.5)
        else:
            self.max = (1 << said["bits"]) - 1
        self.bits = self.max.bit_length()
        self.lowest = -(1 << (self.bits - 1)) if self.quantity == "signed" else 0
        # The raw number of standing still, 8.5.2.
        self.still = -self.lowest
        if self.quantity == "ranged":
            self.still = min(max(math.floor(-low / step + 0.5), 0), self.max)
        self.is_circle = self.quantity in ("angle", "counter")
        self.owner_only = said.get("owner_only", False)
        self.zero = self.still if self.quantity in ("ranged", "signed") else 0  # 8.9

    def raw(self, value):
        """Of a value in the range or not, as defaults may be."""
        if self.quantity in ("ranged", "unsigned"):
            return min(value & 0xFFFFFFFF, self.max)
        if self.quantity == "signed":
            return min(max(value - self.lowest, 0), self.max)
        return value & self.max

    def value(self, raw):
        return raw + self.lowest

    def way(self, start, end):
        half = (self.max + 1) // 2
        return (end - start + half) % (self.max + 1) - half if self.is_circle else end - start

    def beyond(self, start, distance):
        """A residual's raw number: on a line it must be one of the field."""
        raw = start + distance
        if self.is_circle:
            return raw % (self.max + 1)
        if not 0 <= raw <= self.max:
            raise Refused("value")
        return raw

    def reach(self, start, way):
        """A prediction's raw number."""
        raw = start + way
        return raw % (self.max + 1) if self.is_circle else min(max(raw, 0), self.max)


def number(value):
    return value.to_bytes(4, "little")


def text(name):
    return number(len(name.encode())) + name.encode()


def fnv(data):
    value = 0xCBF29CE484222325
    for byte in data:
        value = (value ^ byte) * 0x100000001B3 % (1 << 64)
    return value


def shape_hash(said):
    """7.3."""
    out = number(len(said["kinds"]))
    for kind in said["kinds"]:
        out += text(kind["name"]) + number(len(kind["fields"]))
        for field in kind["fields"]:
            out += text(field["name"])
            if field["quantity"] == "ranged":
                out += number(0) + b"".join(struct.pack("<f", field[key]) for key in ("min", "max", "step"))
            else:
                tag = {"angle": 1, "unsigned": 2, "signed": 3, "flags": 4, "counter": 5}[field["quantity"]]
                out += number(tag) + number(field["bits"])
            out += number({"linear": 0, "angle": 1, "step": 2}[field["blend"]])
            out += text(field.get("group", ""))
            out += number({"still": 0, "linear": 1, "spinning": 2, "any": 3}[field.get("motion", "any")])
            marks = int(field.get("rotation", False)) + 2 * int(field.get("owner_only", False))
            marks += 4 * field.get("velocity_per", 0)
            out += text(field.get("velocity", "")) + number(marks)
    return fnv(out)


class Schema:
    def __init__(self, said, tables):
        self.kinds = [[Field(field) for field in kind["fields"]] for kind in said["kinds"]]
        self.last_slot = said["max_entities"] - 1
        self.slot_bits = (said["max_entities"] - 1).bit_length()  # 8.2
        self.kind_bits = (len(self.kinds) - 1).bit_length()
        shape = shape_hash(said)
        self.tables = Tables(self.kinds, shape, tables)
        own, eight = fnv(tables[16:]), lambda value: value.to_bytes(8, "little")
        self.hash = fnv(number(2) + number(said["max_entities"]) + eight(shape) + eight(own))


# 8.5: groups, tables, and the chunks of single entities


LINE, ROTATION, PLAIN = "line", "rotation", "plain"
LEVELS, AGES, SPEEDS, TURNS, FROM_NOTHING = 16, 8, 12, 12, 8
CODED, BUSY, QUIET = 0, 1, 2


class Group:
    """8.5.1."""

    def __init__(self, manner, name):
        self.manner, self.name, self.places = manner, name, []

    def states(self):
        return (1 << len(self.places)) + (self.manner != PLAIN)


def groups_of(fields):
    groups, at = [], 0
    while at < len(fields):
        field = fields[at]
        if field.owner_only:
            at += 1
            continue
        if field.rotation:
            group = Group(ROTATION, None)
            group.places = [at, at + 1, at + 2, at + 3]
            groups.append(group)
            at += 4
            continue
        guessed = field.motion in ("linear", "spinning") or (
            field.motion == "any" and field.quantity in ("ranged", "angle", "signed")
        )
        manner = LINE if guessed and field.quantity != "flags" else PLAIN
        same = [of for of in groups if of.name and of.name == field.group and of.manner == manner]
        same = [of for of in same if len(of.places) < 4]
        if not same:
            same = [Group(manner, field.group)]
            groups.append(same[0])
        same[0].places.append(at)
        at += 1
    return groups


def plain_form(field):
    if field.quantity == "flags":
        return "flags"
    return "distance" if field.bits > 6 or field.is_circle else "value"


class Code:
    """8.5.3: a prefix code of these lengths."""

    def __init__(self, lengths):
        self.symbols, word = {}, 0
        self.count, longest = len(lengths), max(lengths)
        assert longest <= 11 and sum(1 << (longest - length) for length in lengths) == 1 << longest
        for length, symbol in sorted((length, symbol) for symbol, length in enumerate(lengths)):
            self.symbols[length, word >> (longest - length)] = symbol
            word += 1 << (longest - length)

    def read(self, bits):
        length = word = 0
        while (length, word) not in self.symbols:
            length, word = length + 1, word << 1 | bits.take(1)
        return self.symbols[length, word]


class Stream:
    def __init__(self, codes, own, contexts, symbols):
        self.codes, self.first = codes, own.varint()
        count = own.varint()
        assert count <= contexts
        self.map = own.runs(count)
        assert all(codes[self.first + place].count == symbols for place in [0, *self.map])

    def read(self, bits, context):
        place = self.map[context] if context < len(self.map) else 0
        return self.codes[self.first + place].read(bits)


class File(Bytes):
    def runs(self, count):
        out = []
        while len(out) < count:
            more = self.varint()
            out += [self.number(1)] * (more + 1)
        assert len(out) == count
        return out

    def signed(self):
        value = self.varint()
        return (value >> 1) ^ -(value & 1)


class Piece:
    def __init__(self, first, count, masks_len):
        self.first, self.count, self.masks_len = first, count, masks_len


def pieces_of(groups, limit):
    pieces = []
    for place, group in enumerate(groups):
        if pieces and pieces[-1].masks_len * group.states() <= limit:
            pieces[-1].count += 1
            pieces[-1].masks_len *= group.states()
        else:
            pieces.append(Piece(place, 1, group.states()))
    return pieces


class KindTables:
    def __init__(self, fields, codes, file):
        self.fields, self.groups = fields, groups_of(fields)
        self.defaults = [field.raw(file.signed()) for field in fields]
        self.mode_field = file.number(1) - 1
        self.mode_classes = file.runs(64) if self.mode_field >= 0 else []
        self.modes = 4 if self.mode_field >= 0 else 1
        self.pieces = pieces_of(self.groups, file.varint())
        for piece in self.pieces:
            self.read_piece(piece, codes, file)
        for group in self.groups:
            if group.manner != PLAIN:
                group.axes = file.number(1)
                group.weights = [[file.signed() for _ in range(4)] for _ in range(AGES * SPEEDS * 3 * group.axes)]
                group.levels = file.runs(AGES * SPEEDS * TURNS)
                group.firsts = [file.number(1) for _ in range(AGES + 1)]
        self.streams = [Stream(codes, file, *self.alphabet(at)) for at in range(len(fields))]

    def read_piece(self, piece, codes, file):
        piece.shift = file.number(1)
        piece.shifts = [4 if self.groups[at].manner == PLAIN else piece.shift for at in self.range(piece)]
        piece.contexts = self.modes
        for shift in piece.shifts:
            piece.contexts *= (16 >> shift) + 1
        piece.masks = [file.number(2) for _ in range(file.number(1))]
        piece.stream = Stream(codes, file, piece.contexts + AGES + 1, len(piece.masks) + 1)
        if piece.first == 0:
            self.classes = file.runs(piece.contexts)

    @staticmethod
    def range(piece):
        return range(piece.first, piece.first + piece.count)

    def alphabet(self, at):
        """8.5.5: how many contexts and symbols a field has."""
        group, field = next((of for of in self.groups if at in of.places), None), self.fields[at]
        if group is None:
            return 1, 1
        if group.manner == ROTATION and group.places[0] == at:
            return LEVELS, 3
        if group.manner != PLAIN:
            return 2048, 87
        form = plain_form(field)
        if form == "value":
            return (1 << field.bits if field.bits <= 4 else 1), 1 << field.bits
        return (1, 87) if form == "distance" else (64, 64)

    def mode(self, row):
        return self.mode_classes[min(row[self.mode_field], 63)] if self.mode_field >= 0 else 0


class Tables:
    def __init__(self, kinds, shape, data):
        file = File(data)
        assert file.take(8) == b"TICKTAB\x01" and file.number(8) == shape
        self.lags = file.number(1), file.number(1)
        codes = [Code(file.runs(file.number(1) + 1)) for _ in range(file.varint())]
        self.kinds = [KindTables(fields, codes, file) for fields in kinds]
        assert file.is_empty()


def age_class(age):
    return next((at for at, last in enumerate((1, 2, 3, 5, 7, 10, 16)) if age <= last), 7)


def toward_zero(value, divisor):
    return abs(value) // divisor * (1 if value >= 0 else -1)


class Ball:
    """8.5.2: what the raw numbers of a rotation stand for."""

    def __init__(self, most):
        self.max, self.squared = most, 2 * most * most
        self.unit = math.isqrt(self.squared * 16)

    def unpack(self, raw):
        largest, parts = raw[0] & 3, [2 * part - self.max for part in raw[1:]]
        rest = max(self.squared - sum(part * part for part in parts), 0)
        return parts[:largest] + [math.isqrt(rest)] + parts[largest:]

    def pack(self, whole, largest):
        length = max(math.isqrt(sum(part * part for part in whole)), 1)
        scale = (self.unit << 32) // length * (-1 if whole[largest] < 0 else 1)
        parts = [whole[at] * scale >> 32 for at in range(4) if at != largest]
        return [min(max((part + 4 * self.max + 4) >> 3, 0), self.max) for part in parts]


class Expected:
    def __init__(self, level, feature, raw, whole=None):
        self.level, self.feature, self.raw, self.whole = level, feature, raw, whole


class Past:
    """8.5: what is held of an entity. Rows are raw numbers; earlier ones are None when unknown."""

    def __init__(self, base, age, earlier=None, earliest=None):
        self.base, self.age, self.earlier, self.earliest = base, age, earlier, earliest


class Expectation:
    """8.5.2: of one entity."""

    def __init__(self, tables, kind, past):
        self.kind = kind
        base = kind.defaults if past is None else past.base
        self.base, self.mode = base, kind.mode(base)
        self.first = None
        if past is None or past.earlier is None:
            self.first = FROM_NOTHING if past is None else age_class(past.age)
            self.groups = [self.resting(of, 0 if of.manner == PLAIN else of.firsts[self.first]) for of in kind.groups]
        else:
            self.groups = [self.full(tables, of, past) for of in kind.groups]

    def raw(self, group, row):
        return [row[at] for at in group.places]

    def resting(self, group, level):
        raw = self.raw(group, self.base)
        whole = None
        if group.manner == ROTATION:
            whole = [part << 6 for part in Ball(self.kind.fields[group.places[1]].max).unpack(raw)]
        return Expected(level, 0, raw, whole)

    def full(self, tables, group, past):
        rows = [past.base, past.earlier, past.earliest or past.earlier]
        rows = [self.raw(group, row) for row in rows]
        age = age_class(past.age)
        if rows[0] == rows[1] == rows[2]:
            return self.resting(group, 0 if group.manner == PLAIN else group.levels[age * SPEEDS * TURNS])
        if group.manner == PLAIN:
            return Expected(0, 16, rows[0])
        lag, span = tables.lags[0], tables.lags[1] - tables.lags[0]
        has_earliest = past.earliest is not None
        fields = [self.kind.fields[at] for at in group.places]
        if group.manner == ROTATION:
            ball = Ball(fields[1].max)
            wholes = [ball.unpack(raw) for raw in rows]
            for at in (1, 2):
                if sum(a * b for a, b in zip(wholes[at], wholes[0])) < 0:
                    wholes[at] = [-part for part in wholes[at]]
            lates = [now - then for now, then in zip(wholes[0], wholes[1])]
            earlies = [now - then for now, then in zip(wholes[1], wholes[2])]
        else:
            lates = [field.way(then, now) for field, now, then in zip(fields, rows[0], rows[1])]
            earlies = [field.way(then, now) for field, now, then in zip(fields, rows[1], rows[2])]
        if not has_earliest:
            earlies = [toward_zero(late * span, lag) for late in lates]
        speed = sum(abs(late) for late in lates)
        turn = sum(abs(late * span - early * lag) // span for late, early in zip(lates, earlies))
        if group.manner == ROTATION:
            speed, turn = speed // 2, turn // 2
        speed, turn = min(speed.bit_length(), SPEEDS - 1), min(turn.bit_length(), TURNS - 1)
        steadiness = 0 if turn + 1 < speed else 1 if turn <= speed else 2
        level = group.levels[(age * SPEEDS + speed) * TURNS + turn]

        def weights(axis):
            axis = min(axis, group.axes - 1)
            return group.weights[(age * SPEEDS * 3 + speed * 3 + steadiness) * group.axes + axis]

        if group.manner == ROTATION:
            one = weights(0)
            bound = ball.max << 8
            whole = []
            for part, late, early in zip(wholes[0], lates, earlies):
                part = (part << 6) + ((one[0] * late + one[1] * early) * past.age >> 10)
                whole.append(min(max(part, -bound), bound))
            largest = max(range(4), key=lambda at: (abs(whole[at]), -at))
            return Expected(level, level + 1, [largest, *ball.pack(whole, largest)], whole)
        raw = []
        for axis, field in enumerate(fields):
            velocity = change = 0
            names = [of.name for of in self.kind.fields]
            if field.velocity:
                at = names.index(field.velocity)
                velocity = past.base[at] - self.kind.fields[at].still
                change = past.base[at] - past.earlier[at]
            parts = lates[axis], earlies[axis], velocity, change
            total = sum(weight * part for weight, part in zip(weights(axis), parts))
            raw.append(field.reach(rows[0][axis], (total * past.age + 32768) >> 16))
        return Expected(level, level + 1, raw)

    def context(self, piece):
        if self.first is not None:
            return piece.contexts + self.first
        context = 0
        for at, shift in zip(self.kind.range(piece), piece.shifts):
            feature = (self.groups[at].feature + (1 << shift) - 1) >> shift
            context = context * ((16 >> shift) + 1) + feature
        return context * self.kind.modes + self.mode

    def tell_class(self):
        """8.4."""
        of = self.kind.classes[self.context(self.kind.pieces[0])]
        if of == CODED and all(group.feature == 0 for group in self.groups):
            of = BUSY
        return min(of, QUIET)

    def row(self):
        """As expected."""
        row = list(self.base)
        for group, expected in zip(self.kind.groups, self.groups):
            for at, raw in zip(group.places, expected.raw):
                row[at] = raw
        return row

    def read(self, bits):
        """8.5: a chunk's row."""
        states = []
        for piece in self.kind.pieces:
            symbol = piece.stream.read(bits, self.context(piece))
            mask = piece.masks[symbol - 1] if symbol else bits.take((piece.masks_len - 1).bit_length())
            if mask >= piece.masks_len:
                raise Refused("mask")
            of_piece = []
            for at in reversed(self.kind.range(piece)):
                mask, state = divmod(mask, self.kind.groups[at].states())
                of_piece.append(state)
            states += reversed(of_piece)
        row, trail = list(self.base), Trail()
        for group, expected, state in zip(self.kind.groups, self.groups, states):
            if state >> len(group.places):
                continue  # As in the baseline.
            if group.manner == PLAIN:
                for place, at in enumerate(group.places):
                    if state >> place & 1:
                        row[at] = self.plain(bits, at, row[at])
                continue
            raw = list(expected.raw)
            if state:
                turned = self.mode > 0
                if group.manner == ROTATION:
                    turned = state & 1 == 1
                    if turned:
                        further = self.kind.streams[group.places[0]].read(bits, expected.level) + 1
                        raw[0] = (raw[0] + further) & 3
                        raw[1:] = Ball(self.kind.fields[group.places[1]].max).pack(expected.whole, raw[0])
                for place, at in enumerate(group.places):
                    if group.manner == ROTATION and place == 0:
                        continue
                    if state >> place & 1:
                        context = trail.context(expected.level, turned)
                        distance = residual(bits, self.kind.streams[at], context)
                        raw[place] = self.kind.fields[at].beyond(raw[place], distance)
                        trail.add(abs(distance))
                    else:
                        trail.add(0)
                trail.end_group()
            for at, value in zip(group.places, raw):
                row[at] = value
        return row

    def plain(self, bits, at, was):
        field, stream = self.kind.fields[at], self.kind.streams[at]
        form = plain_form(field)
        if form == "distance":
            return field.beyond(was, residual(bits, stream, 0))
        if form == "value":
            now = stream.read(bits, was if field.bits <= 4 else 0)
        else:
            now = 0
            for shift in range(0, field.bits, 6):
                six = was >> shift & 63
                now |= (six ^ stream.read(bits, six)) << shift
        if now > field.max:
            raise Refused("value")
        return now


class Trail:
    """8.5.4: the residuals of an entity so far."""

    def __init__(self):
        self.last, self.begun, self.largest = 0, False, 0

    def context(self, level, turned):
        before = min(self.last.bit_length(), 5) if self.begun else 6
        return ((level * 8 + before) * 8 + self.largest) * 2 + int(turned)

    def add(self, size):
        self.last, self.begun = max(self.last // 2, size), True

    def end_group(self):
        self.largest = min(max(self.largest, self.last.bit_length()), 7)
        self.last, self.begun = 0, False


def residual(bits, stream, context):
    """8.5.4."""
    symbol = stream.read(bits, context)
    if symbol < 25:
        return symbol - 12
    count = 2 + (symbol - 25) // 2
    size = (1 << count | bits.take(count)) - 4 + 13
    return -size if (symbol - 25) % 2 else size


# 8: snapshots


class Bits:
    """8.2."""

    def __init__(self, data):
        self.bits, self.left = int.from_bytes(data, "little"), len(data) * 8

    def take(self, count):
        if count > self.left:
            raise Refused("truncated")
        taken = self.bits & ((1 << count) - 1)
        self.bits >>= count
        self.left -= count
        return taken

    def number(self, order):
        m = 0
        while self.take(1) == 0:
            m += 1
            if m > 16:
                raise Refused("truncated")
        q = 1 << m | self.take(m)
        return (q - 1) << order | self.take(order)

    def gaps(self, places, beyond="rank"):
        """8.4: the places of a list's items; whoever iterates reads the rest of each item, and may say how many
        places more the item has taken."""
        items = self.number(2) + 1 if self.take(1) else 0
        order = self.take(3) if items else 0
        place = 0
        for _ in range(items):
            place += self.number(order)
            if place >= places:
                raise Refused(beyond)
            more = yield place
            place += 1 + (more or 0)

    def end(self):
        if self.left >= 8 or self.bits:
            raise Refused("trailing_bytes")


class Entity:
    """Its row is raw numbers."""

    def __init__(self, generation, kind, as_of, row):
        self.generation, self.kind, self.as_of, self.row = generation, kind, as_of, row


class Snapshot:
    def __init__(self):
        self.entities, self.told, self.done = {}, [], []
        self.own = None  # The slot that its own section is of, 8.9.


def covers(ranges, first, last):
    """Whether the ranges together speak of all these slots."""
    for low, high in sorted(ranges):
        if low <= first <= high:
            first = high + 1
    return first > last


class Replica:
    def __init__(self, schema):
        self.schema, self.every = schema, 1
        self.snapshots = {}
        self.needs_resync = False

    def receive(self, part):
        """8.3, and then 8.4 to 8.8; the tick, when the part was applied."""
        bits = Bits(part)
        newest = max(self.snapshots, default=0)
        low, age = bits.take(16), bits.take(5)
        if age == 0:
            tick, history = bits.take(16) << 16 | low, []
        else:
            code = bits.take(2)
            if code == 3:
                raise Refused("history_code")
            tick = widen(low, newest)
            lags = (0, *self.schema.tables.lags)[: code + 1]
            history = [tick - (age + lag) * self.every for lag in lags]
        first, last = 0, self.schema.last_slot
        if bits.take(1) == 0:
            first, last = bits.take(self.schema.slot_bits), bits.take(self.schema.slot_bits)
            if first > last or last > self.schema.last_slot:
                raise Refused("range")
        done = bits.take(1) == 1
        begins_anew = self.check(tick, history, first, last, newest)
        held = self.snapshots[history[0]].entities if history else {}
        held = {slot: held[slot] for slot in sorted(held) if first <= slot <= last}
        entities = self.lists(bits, tick, first, last, done, held, age, history)
        own = self.own(bits, tick, first, last, held, entities, history)
        bits.end()
        self.keep(tick, history, first, last, done, entities, begins_anew)
        if own is not None:
            self.snapshots[tick].own = own
        return tick

    def check(self, tick, history, first, last, newest):
        """8.7 and 8.8."""
        reach = MAX_AGE * self.every
        begins_anew = self.needs_resync and not history and self.snapshots and abs(tick - newest) > reach
        if not begins_anew:
            if tick < newest - reach:
                raise Refused("too_old")
            told = self.snapshots[tick].told if tick in self.snapshots else []
            if any(low <= last and first <= high for low, high in told):
                raise Refused("duplicate")
        for past in history:
            if past not in self.snapshots or not covers(self.snapshots[past].told, first, last):
                self.needs_resync = True
                raise Refused("unknown_baseline")
        return begins_anew

    def lists(self, bits, tick, first, last, done, held, age, history):
        """8.4 and 8.6."""
        left, entered, deferred = set(), {}, set()
        places = list(held)
        if bits.take(1):
            for place in bits.gaps(len(places)):
                bits.take(1)  # Destroyed or out of sight: this client does not show which.
                left.add(places[place])
            for place in bits.gaps(last - first + 1, "slot"):
                slot = first + place
                generation, kind = bits.number(8), bits.take(self.schema.kind_bits)
                if generation > 65535:
                    raise Refused("value")
                if kind >= len(self.schema.kinds):
                    raise Refused("kind")
                if slot in held and slot not in left:
                    raise Refused("occupied")
                entered[slot] = Entity(generation, kind, tick, self.expect(kind, None).read(bits))
            places = [slot for slot in places if slot not in left]
            deferred = self.deferred(bits, places, done)
        rows, others, listed = {}, [], {BUSY: [], QUIET: []}
        for slot in places:
            if slot in deferred:
                continue
            past = self.steady(slot, held[slot], age, history)
            if past is None:
                others.append(slot)
                continue
            expectation = self.expect(held[slot].kind, past)
            of = expectation.tell_class()
            if of == CODED:
                rows[slot] = expectation.read(bits)
            else:
                rows[slot] = expectation.row()
                listed[of].append((slot, expectation))
        if len(history) > 1:
            for of in (BUSY, QUIET):
                for place in bits.gaps(len(listed[of])):
                    slot, expectation = listed[of][place]
                    rows[slot] = expectation.read(bits)
        for place in bits.gaps(len(others)):
            old = held[others[place]]
            ago, rest = divmod(tick - old.as_of, self.every)
            past = Past(old.row, ago) if rest == 0 and 1 <= ago <= MAX_AGE else None
            rows[others[place]] = self.expect(old.kind, past).read(bits)
        entities = {}
        for slot, old in held.items():
            if slot not in left:
                as_of = old.as_of if slot in deferred else tick
                entities[slot] = Entity(old.generation, old.kind, as_of, rows.get(slot, old.row))
        entities.update(entered)
        return entities

    def secrets(self, kind):
        return [(at, field) for at, field in enumerate(self.schema.kinds[kind]) if field.owner_only]

    def own(self, bits, tick, first, last, held, entities, history):
        """8.9: the slot of the own entity, when this part tells it."""
        if not any(self.secrets(kind) for kind in range(len(self.schema.kinds))):
            return None
        for it in entities.values():
            if it.as_of == tick:
                it.row = list(it.row)
                for at, field in self.secrets(it.kind):
                    it.row[at] = field.zero
        if not bits.take(1):
            return None
        before = self.snapshots[history[0]].own if history else None
        same = before is not None and first <= before <= last and bits.take(1) == 1
        slot = before if same else bits.take(self.schema.slot_bits)
        it = entities.get(slot)
        if it is None or it.as_of != tick or not self.secrets(it.kind):
            raise Refused("own")
        old = held.get(slot)
        if same and (old is None or (old.generation, old.kind) != (it.generation, it.kind)):
            raise Refused("own")
        for at, field in self.secrets(it.kind):
            if same:
                it.row[at] = old.row[at]
            if bits.take(1):
                it.row[at] = bits.take(field.bits)
                if it.row[at] > field.max:
                    raise Refused("value")
        return slot

    def expect(self, kind, past):
        return Expectation(self.schema.tables, self.schema.tables.kinds[kind], past)

    def steady(self, slot, held, age, history):
        """8.4: the history of an entity of which every tick is known."""
        if len(history) < 2 or held.as_of != history[0]:
            return None
        rows = []
        for tick in history[1:]:
            then = self.snapshots[tick].entities.get(slot)
            if then is None or then.as_of != tick or (then.generation, then.kind) != (held.generation, held.kind):
                return None
            rows.append(then.row)
        return Past(held.row, age, *rows)

    @staticmethod
    def deferred(bits, places, done):
        deferred = set()
        gaps = bits.gaps(len(places))
        place = next(gaps, None)
        if done and place is not None:
            raise Refused("contradiction")
        while place is not None:
            length = bits.number(0) + 1
            if place + length > len(places):
                raise Refused("rank")
            deferred.update(places[place : place + length])
            try:
                # The rest of the run, and the one place that is always passed over.
                place = gaps.send(length)
            except StopIteration:
                place = None
        return deferred

    def keep(self, tick, history, first, last, done, entities, begins_anew):
        if begins_anew:
            self.snapshots.clear()
        if not history:
            self.needs_resync = False
        snapshot = self.snapshots.setdefault(tick, Snapshot())
        snapshot.entities.update(entities)
        snapshot.told.append((first, last))
        if done:
            snapshot.done.append((first, last))
        while len(self.snapshots) > KEPT:
            del self.snapshots[min(self.snapshots)]

    def describe(self, tick):
        snapshot, last = self.snapshots[tick], self.schema.last_slot
        words = [tick, int(covers(snapshot.told, 0, last)), int(covers(snapshot.done, 0, last))]
        for slot, it in sorted(snapshot.entities.items()):
            values = [field.value(raw) for field, raw in zip(self.schema.kinds[it.kind], it.row)]
            words.append(":".join(map(str, [slot, it.generation, it.kind, it.as_of, *values])))
        return words


# 3 and 4: payloads and messages


class Link:
    RELIABLE = {0: True, 1: False}  # 4.2
    MAX_MESSAGE = 1000
    AHEAD = 63472  # 4.4
    RESEND_AFTER = 150_000

    def __init__(self):
        self.next, self.acked_end, self.carried = 0, 0, {}
        self.seen, self.taken = set(), set()
        self.newest_at, self.newest_long = 0, False
        self.debt_since, self.asked = None, 0
        self.queue, self.first_id, self.next_id = {}, 0, 0  # of channel 0
        self.unreliable = []
        self.deliver_next, self.early = 0, {}
        self.inbox = []

    def send(self, channel, message):
        if self.RELIABLE[channel]:
            self.queue[self.next_id] = [message, None]  # and when it was sent last
            self.next_id += 1
        else:
            self.unreliable.append((channel, message))

    def receive(self, now, payload):
        """3.6: everything is checked before anything has an effect; the body."""
        data = Bytes(payload)
        flags = data.number(1)
        if flags >= 32 or flags & (ACKS | LONG_ACK) == LONG_ACK:
            raise Refused("reserved_bits")
        is_long = flags & LONG_NUMBER != 0
        this = self.check_number(data.varint() if is_long else data.number(2), is_long)
        acks = self.read_acks(data, flags) if flags & ACKS else None
        messages = self.read_messages(data) if flags & MESSAGES else []
        body = data.rest()
        if flags & ASKS and not messages and not body:
            raise Refused("asks_for_nothing")
        self.seen.add(this)
        if acks:
            self.believe(*acks)
        for channel, low, message in messages:
            self.accept(channel, low, message)
        # This client always has room, so what is seen is taken (3.3).
        if this > max(self.taken, default=-1):
            self.newest_at, self.newest_long = now, is_long
        self.taken.add(this)
        if flags & ASKS:
            self.asked += 1
            if self.debt_since is None:
                self.debt_since = now
        self.forget(max(self.taken))
        return body

    def check_number(self, said, is_long):
        """3.2."""
        newest = max(self.seen, default=-1)
        this = said if is_long else widen(said, max(newest, 0))
        if this == (1 << 64) - 1 or (not is_long and this >= newest + 1 + SHORT_REACH):
            raise Refused("too_far_ahead")
        if this in self.seen:
            raise Refused("duplicate")
        if this < newest - WINDOW:
            raise Refused("too_old")
        return this

    def read_acks(self, data, flags):
        """3.3."""
        if flags & LONG_ACK:
            newest = data.varint()
        else:
            newest = widen(data.number(2), max(self.acked_end - 1, 0))
        missing, _delay = data.varint(), data.number(1)
        if newest >= self.next:
            raise Refused("ack_of_never_sent")
        if newest < 64 and missing >> newest:
            raise Refused("bad_ack_mask")
        return newest, missing

    def read_messages(self, data):
        """4.1."""
        messages, more = [], True
        while more:
            head, channel = data.varint(), data.number(1)
            if channel not in self.RELIABLE:
                raise Refused("unknown_channel")
            low = data.number(2) if self.RELIABLE[channel] else None
            message, more = data.take(head >> 1), head & 1
            if len(message) > self.MAX_MESSAGE:
                raise Refused("message_too_long")
            if low is not None and widen(low, self.deliver_next) >= self.deliver_next + MESSAGE_WINDOW:
                raise Refused("window_exceeded")
            messages.append((channel, low, message))
        return messages

    def believe(self, newest, missing):
        self.acked_end = max(self.acked_end, newest + 1)
        for number in [newest] + [newest - 1 - bit for bit in range(64) if not missing >> bit & 1]:
            for identity in self.carried.pop(number, []):
                self.queue.pop(identity, None)
        while self.first_id < self.next_id and self.first_id not in self.queue:
            self.first_id += 1

    def accept(self, channel, low, message):
        """4.3 and 4.4."""
        if low is None:
            self.inbox.append((channel, message))
            return
        identity = widen(low, self.deliver_next)
        if identity < self.deliver_next:
            return
        self.early[identity] = message
        while self.deliver_next in self.early:
            self.inbox.append((channel, self.early.pop(self.deliver_next)))
            self.deliver_next += 1

    def forget(self, newest):
        self.seen = {number for number in self.seen if number >= newest - WINDOW}
        self.taken = {number for number in self.taken if number >= newest - WINDOW}
        self.carried = {number: ids for number, ids in self.carried.items() if number >= self.next - 256}

    def owes_ack(self, now):
        """3.4."""
        return self.asked >= 32 or (self.debt_since is not None and now - self.debt_since >= 25_000)

    def has_messages(self, now):
        return bool(self.unreliable) or any(True for _ in self.due(now))

    def due(self, now):
        ahead = 0
        for identity in sorted(self.queue):
            message, sent = self.queue[identity]
            if identity >= self.first_id + MESSAGE_WINDOW or ahead > self.AHEAD:
                return
            ahead += len(message) + 32
            if sent is None or now - sent >= self.RESEND_AFTER:
                yield identity, message

    def write(self, now, body):
        """3.1: one payload with what is due."""
        section, carried = [], []
        room = MAX_PAYLOAD - 32 - len(body)
        for identity, message in self.due(now):
            head = bytes([0]) + u16(identity)
            if len(message) + 5 > room:
                break
            room -= len(message) + 5
            section.append((head, message))
            carried.append(identity)
            self.queue[identity][1] = now
        while self.unreliable and len(self.unreliable[0][1]) + 3 <= room:
            channel, message = self.unreliable.pop(0)
            room -= len(message) + 3
            section.append((bytes([channel]), message))
        flags = ASKS if section or body else 0
        is_long = self.next >= self.acked_end + SHORT_REACH
        flags |= (LONG_NUMBER if is_long else 0) | (MESSAGES if section else 0)
        out = varint(self.next) if is_long else u16(self.next)
        if self.taken:
            flags |= ACKS | (LONG_ACK if self.newest_long else 0)
            newest = max(self.taken)
            out += varint(newest) if self.newest_long else u16(newest)
            before = range(newest - 1, max(newest - 1 - 64, -1), -1)
            out += varint(sum(1 << bit for bit, number in enumerate(before) if number not in self.taken))
            out += bytes([min((now - self.newest_at + 125) // 250, 255)])
        for at, (head, message) in enumerate(section):
            out += varint(len(message) * 2 + (at + 1 < len(section))) + head + message
        self.carried[self.next] = carried
        self.next += 1
        self.debt_since, self.asked = None, 0
        return bytes([flags]) + out + body


# 5 and 6: the body and the conversation


class Client:
    def __init__(self, said, tables):
        self.schema = Schema(said, tables)
        self.link, self.replica = Link(), Replica(self.schema)
        self.is_welcome, self.is_over, self.goodbyes = False, False, 0
        self.hello_at = self.resync_at = 0
        self.inputs, self.input_is_due = [], False
        self.told = []

    def tell(self, *words):
        self.told.append(" ".join(str(word) for word in words))

    def receive(self, now, payload):
        try:
            body = Bytes(self.link.receive(now, payload))
            while not body.is_empty() and not self.is_over:
                self.block(body)
        except Refused as refused:
            self.tell("refused", refused)
        for channel, message in self.link.inbox:
            self.tell("message", channel, message.hex())
        self.link.inbox.clear()

    def block(self, body):
        short = "malformed_block"
        kind = body.number(1, short)
        if kind == WELCOME:
            version, schema = body.number(2, short), body.number(8, short)
            index, generation = body.number(4, short), body.number(4, short)
            rate, every, tick = body.number(2, short), body.number(2, short), body.number(4, short)
            if not 1 <= rate <= 240 or every < 1:
                raise Refused("malformed_block")
            if not self.is_welcome:
                self.is_welcome, self.replica.every = True, every
                same = version == PROTOCOL_VERSION and schema == self.schema.hash
                self.tell("welcome", int(same), index, generation, rate, every, tick)
        elif kind == MARGIN:
            self.tell("margin", int.from_bytes(body.take(2, short), "little", signed=True) * 100)
        elif kind == GOODBYE:
            reason, length = body.number(1, short), body.number(1, short)
            self.is_over = True
            self.tell("goodbye", reason, body.take(length, short).decode())
        elif kind == WARNING:
            self.tell("warning", body.number(1, short), body.number(4, short))
        elif kind == SNAPSHOT:
            part = body.rest()
            if not self.is_welcome:
                raise Refused("not_welcome")
            self.tell("part", *self.replica.describe(self.replica.receive(part)))
        else:
            raise Refused("misplaced_block" if kind in (HELLO, INPUTS, RESYNC) else "malformed_block")

    def input(self, tick, content):
        if self.inputs and self.inputs[0][0] + 1 != tick:
            self.inputs.clear()
        self.inputs.insert(0, (tick, content))
        del self.inputs[8:]
        self.input_is_due = True

    def inputs_block(self):
        """5.3."""
        out = bytes([INPUTS]) + number(self.inputs[0][0]) + bytes([len(self.inputs)])
        before = None
        for _, content in self.inputs:
            out += b"\xff" if content == before else bytes([len(content)]) + content
            before = content
        return out

    def body(self, now):
        """5, and who says what when (6)."""
        if self.goodbyes:
            self.goodbyes -= 1
            return bytes([GOODBYE, CLOSED_BY_CLIENT, 0])
        out = b""
        if not self.is_welcome and now >= self.hello_at:
            self.hello_at = now + 100_000
            out += bytes([HELLO]) + u16(PROTOCOL_VERSION) + self.schema.hash.to_bytes(8, "little")
        if self.replica.needs_resync and now >= self.resync_at:
            self.resync_at = now + 100_000
            out += bytes([RESYNC])
        if self.input_is_due:
            self.input_is_due = False
            out += self.inputs_block()
        return out

    def at(self, now):
        while not self.is_over:
            leaving = self.goodbyes > 0
            body = self.body(now)
            if not body and not self.link.owes_ack(now) and not self.link.has_messages(now):
                return
            self.tell("payload", self.link.write(now, body).hex())
            self.is_over = leaving and not self.goodbyes


def main():
    said = client = None
    for line in sys.stdin:
        command, _, rest = line.rstrip("\n").partition(" ")
        words = rest.split(" ")
        if command == "schema":
            said = json.loads(rest)
        elif command == "tables":
            with open(rest, "rb") as file:
                client = Client(said, file.read())
        elif command == "payload":
            client.receive(int(words[0]), bytes.fromhex(words[1]))
        elif command == "input":
            client.input(int(words[0]), bytes.fromhex(words[1]))
        elif command == "send":
            client.link.send(int(words[0]), bytes.fromhex(words[1]))
        elif command == "forget":
            client.replica.snapshots.clear()
        elif command == "leave":
            client.goodbyes = 3
        elif command == "at":
            client.at(int(words[0]))
            print(*client.told, "done", sep="\n", flush=True)
            client.told.clear()


if __name__ == "__main__":
    main()
