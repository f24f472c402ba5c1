#!/usr/bin/env python3
"""Writes the examples of docs/recording.md from what the document says, without the library.

    python3 tests/golden/recording.py docs/recording.md

Each `<!-- bytes: name -->` gets its bytes anew; what stands between them is left alone.
"""

import re
import struct
import sys

MASK = (1 << 64) - 1


def siphash13(data, key=bytes(16)):
    k0, k1 = struct.unpack("<QQ", key)
    v = [k0 ^ 0x736F6D6570736575, k1 ^ 0x646F72616E646F6D, k0 ^ 0x6C7967656E657261, k1 ^ 0x7465646279746573]

    def turn(value, bits):
        return ((value << bits) | (value >> (64 - bits))) & MASK

    def round_():
        v[0] = (v[0] + v[1]) & MASK
        v[1] = turn(v[1], 13) ^ v[0]
        v[0] = turn(v[0], 32)
        v[2] = (v[2] + v[3]) & MASK
        v[3] = turn(v[3], 16) ^ v[2]
        v[0] = (v[0] + v[3]) & MASK
        v[3] = turn(v[3], 21) ^ v[0]
        v[2] = (v[2] + v[1]) & MASK
        v[1] = turn(v[1], 17) ^ v[2]
        v[2] = turn(v[2], 32)

    tail = len(data) % 8
    last = int.from_bytes(data[len(data) - tail:], "little") | (len(data) & 0xFF) << 56
    words = [w for (w,) in struct.iter_unpack("<Q", data[: len(data) - tail])] + [last]
    for word in words:
        v[3] ^= word
        round_()
        v[0] ^= word
    v[2] ^= 0xFF
    for _ in range(3):
        round_()
    return v[0] ^ v[1] ^ v[2] ^ v[3]


def checked(data):
    return data + struct.pack("<Q", siphash13(data))


def varint(value):
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes(out) + bytes([value])


def signed(value):
    return varint((value << 1 ^ value >> 31) & 0xFFFFFFFF)


def text(value):
    return varint(len(value.encode())) + value.encode()


def header():
    x = text("x") + b"\0" + struct.pack("<fff", -1, 1, 1 / 64) + bytes([0, 2, 1]) + text("place")
    yaw = text("yaw") + bytes([1, 8, 1, 3, 0])
    door = text("open") + bytes([4, 1, 2, 0, 0])
    description = struct.pack("<HIQIB", 60, 2, 0x1122334455667788, 100, 2)
    description += text("ball") + bytes([2]) + x + yaw + text("door") + bytes([1]) + door
    return checked(b"tickwrec" + struct.pack("<II", 1, len(description)) + description)


def frame_hash(tick, rows):
    data = struct.pack("<II", tick, len(rows))
    for slot, generation, kind, values in rows:
        data += struct.pack("<HHB", slot, generation, kind)
        data += b"".join(struct.pack("<i", value) for value in values)
    return struct.pack("<Q", siphash13(data))


def placed(passed_over, generation, kind, values):
    return varint(passed_over << 2 | 1) + varint(generation) + bytes([kind]) + b"".join(map(signed, values))


def frames():
    out = varint(0) + placed(0, 0, 0, [100, 3]) + placed(4, 1, 1, [0]) + varint(3)
    out += frame_hash(2, [(0, 0, 0, [100, 3]), (5, 1, 1, [0])])
    out += varint(2) + varint(0 << 2 | 2) + varint(1) + signed(-2)
    out += varint(4 << 2 | 2) + varint(1) + signed(1) + varint(3)
    out += frame_hash(4, [(0, 0, 0, [98, 3]), (5, 1, 1, [1])])
    out += varint(2) + varint(0 << 2 | 0) + placed(4, 2, 1, [1]) + placed(3, 300, 0, [0, 255]) + varint(3)
    out += frame_hash(6, [(5, 2, 1, [1]), (9, 300, 0, [0, 255])])
    return out


def stored(plain):
    """A zstd frame that holds its bytes as they are: one segment, one raw block."""
    return b"\x28\xb5\x2f\xfd\x20" + bytes([len(plain)]) + (len(plain) << 3 | 1).to_bytes(3, "little") + plain


def head(plain, packed):
    fields = struct.pack("<7I", 0, 2, 6, 3, 7, len(plain), len(packed))
    return checked(b"twbk" + fields + struct.pack("<Q", siphash13(packed)))


def footer(offset):
    index = checked(b"twix" + struct.pack("<II", 1, 1) + struct.pack("<QIIII", offset, 2, 6, 3, 7))
    return index + struct.pack("<I", len(index)) + b"tickwend"


def main(path):
    plain = frames()
    packed = stored(plain)
    parts = {"header": header(), "frames": plain, "head": head(plain, packed), "footer": footer(len(header()))}
    parts["file"] = parts["header"] + parts["head"] + packed + parts["footer"]
    with open(path, encoding="utf-8") as file:
        document = file.read()
    for name, data in parts.items():
        lines = [data[at : at + 16].hex(" ") for at in range(0, len(data), 16)]
        block = f"<!-- bytes: {name} -->\n```text\n" + "\n".join(lines) + "\n```\n"
        pattern = rf"<!-- bytes: {name} -->\n```text\n.*?```\n"
        document, count = re.subn(pattern, lambda _: block, document, flags=re.S)
        assert count == 1, name
    with open(path, "w", encoding="utf-8") as file:
        file.write(document)
    for sample in (b"", b"tickwire"):
        print(sample, f"{siphash13(sample):#018x}")


main(sys.argv[1])
