"""A Tickwire client above the session layer, written from docs/protocol.md alone.

It is the proof that the document suffices: Python 3, its standard library, nothing of this repository. Numbers in
comments are sections of the document. Netcode (2) is left to whoever starts this program, because the standard
library has no ciphers: payloads come and go in the clear, as lines of hexadecimal digits.

Lines in, one command each:
    schema JSON            what the world consists of (7), the first line
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
import struct
import sys

PROTOCOL_VERSION = 1  # 12
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
    """7.1: a quantity's raw numbers."""

    def __init__(self, said):
        self.quantity = said["quantity"]
        if self.quantity == "ranged":
            low, high, step = (struct.unpack("<f", struct.pack("<f", said[key]))[0] for key in ("min", "max", "step"))
            self.max = int((high - low) / step + 0.5)
        else:
            self.max = (1 << said["bits"]) - 1
        self.bits = self.max.bit_length()
        self.lowest = -(1 << (self.bits - 1)) if self.quantity == "signed" else 0

    def value(self, raw):
        if raw > self.max:
            raise Refused("value")
        return raw + self.lowest


def number(value):
    return value.to_bytes(4, "little")


def text(name):
    return number(len(name.encode())) + name.encode()


def schema_hash(said):
    """7.3."""
    out = number(1) + number(said["max_entities"]) + number(len(said["kinds"]))
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
    value = 0xCBF29CE484222325
    for byte in out:
        value = (value ^ byte) * 0x100000001B3 % (1 << 64)
    return value


class Schema:
    def __init__(self, said):
        self.kinds = [[Field(field) for field in kind["fields"]] for kind in said["kinds"]]
        self.last_slot = said["max_entities"] - 1
        self.slot_bits = (said["max_entities"] - 1).bit_length()  # 8.2
        self.kind_bits = (len(self.kinds) - 1).bit_length()
        self.hash = schema_hash(said)


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
        items = self.number(2)
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
    def __init__(self, generation, kind, as_of, values):
        self.generation, self.kind, self.as_of, self.values = generation, kind, as_of, values


class Snapshot:
    def __init__(self):
        self.entities, self.told, self.done = {}, [], []


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
            tick, base = bits.take(16) << 16 | low, None
        else:
            if bits.take(2) != 0:
                raise Refused("history_code")
            tick = widen(low, newest)
            base = tick - age * self.every
        first, last = 0, self.schema.last_slot
        if bits.take(1) == 0:
            first, last = bits.take(self.schema.slot_bits), bits.take(self.schema.slot_bits)
            if first > last or last > self.schema.last_slot:
                raise Refused("range")
        done = bits.take(1) == 1
        begins_anew = self.check(tick, base, first, last, newest)
        held = self.snapshots[base].entities if base is not None else {}
        held = {slot: held[slot] for slot in sorted(held) if first <= slot <= last}
        entities = self.lists(bits, tick, first, last, done, held)
        self.keep(tick, base, first, last, done, entities, begins_anew)
        return tick

    def check(self, tick, base, first, last, newest):
        """8.7 and 8.8."""
        reach = MAX_AGE * self.every
        begins_anew = self.needs_resync and base is None and self.snapshots and abs(tick - newest) > reach
        if not begins_anew:
            if tick < newest - reach:
                raise Refused("too_old")
            told = self.snapshots[tick].told if tick in self.snapshots else []
            if any(low <= last and first <= high for low, high in told):
                raise Refused("duplicate")
        if base is not None and (base not in self.snapshots or not covers(self.snapshots[base].told, first, last)):
            self.needs_resync = True
            raise Refused("unknown_baseline")
        return begins_anew

    def lists(self, bits, tick, first, last, done, held):
        """8.4 and 8.6."""
        places = list(held)
        left = set()
        for place in bits.gaps(len(places)):
            bits.take(1)  # Destroyed or out of sight: this client does not show which.
            left.add(places[place])
        entered = {}
        for place in bits.gaps(last - first + 1, "slot"):
            slot = first + place
            generation, kind = bits.take(16), bits.take(self.schema.kind_bits)
            if kind >= len(self.schema.kinds):
                raise Refused("kind")
            if slot in held and slot not in left:
                raise Refused("occupied")
            entered[slot] = Entity(generation, kind, tick, self.absolute(bits, kind))
        places = [slot for slot in places if slot not in left]
        changed = {}
        for place in bits.gaps(len(places)):
            old = held[places[place]]
            changed[places[place]] = Entity(old.generation, old.kind, tick, self.chunk(bits, tick, old))
        places = [slot for slot in places if slot not in changed]
        deferred = self.deferred(bits, places)
        if done and deferred:
            raise Refused("contradiction")
        bits.end()
        entities = {}
        for slot, old in held.items():
            if slot not in left:
                as_of = old.as_of if slot in deferred else tick
                entities[slot] = changed.get(slot) or Entity(old.generation, old.kind, as_of, old.values)
        entities.update(entered)
        return entities

    @staticmethod
    def deferred(bits, places):
        deferred = set()
        gaps = bits.gaps(len(places))
        place = next(gaps, None)
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

    def absolute(self, bits, kind):
        """8.5."""
        fields = self.schema.kinds[kind]
        mask = bits.take(len(fields))
        return [field.value(bits.take(field.bits)) if mask >> at & 1 else 0 for at, field in enumerate(fields)]

    def chunk(self, bits, tick, old):
        """8.5: a delta where the value held is young enough."""
        ticks = tick - old.as_of
        if ticks % self.every or not 1 <= ticks // self.every <= MAX_AGE:
            return self.absolute(bits, old.kind)
        fields = self.schema.kinds[old.kind]
        mask = bits.take(len(fields))
        values = list(old.values)
        for at, field in enumerate(fields):
            if mask >> at & 1:
                values[at] = self.delta(bits, field, values[at])
        return values

    @staticmethod
    def delta(bits, field, value):
        residual_bits = None
        if field.quantity != "flags" and field.bits > 4:
            if field.bits <= 10:
                residual_bits = (4, None)[bits.take(1)]
            else:
                residual_bits = (4, 7, 10, None)[bits.take(2)]
        if residual_bits is None:
            return field.value(bits.take(field.bits))
        z = bits.take(residual_bits) + 1
        raw = value - field.lowest + (z // 2 if z % 2 == 0 else -(z + 1) // 2)
        if field.quantity in ("angle", "counter"):
            raw %= field.max + 1
        if raw < 0:
            raise Refused("value")
        return field.value(raw)

    def keep(self, tick, base, first, last, done, entities, begins_anew):
        if begins_anew:
            self.snapshots.clear()
        if base is None:
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
            words.append(":".join(map(str, [slot, it.generation, it.kind, it.as_of, *it.values])))
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
    def __init__(self, said):
        self.schema = Schema(said)
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
    client = None
    for line in sys.stdin:
        command, _, rest = line.rstrip("\n").partition(" ")
        words = rest.split(" ")
        if command == "schema":
            client = Client(json.loads(rest))
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
