#!/usr/bin/env python3
"""Makes netcode.txt: one client's conversation, byte by byte, from the text of netcode 1.02.

Written without looking at the Rust code, with Python's `cryptography` (OpenSSL) for ChaCha20-Poly1305; HChaCha20 is written
out below after draft-irtf-cfrg-xchacha. Run: python3 tests/golden/netcode.py > tests/golden/netcode.txt
"""
import struct
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

VERSION = b"NETCODE 1.02\0"
PROTOCOL = 0x1122334455667788
CREATED, EXPIRES, TIMEOUT = 1_800_000_000, 1_800_000_030, 5
SHARED_KEY = b"\x60" * 32
TOKEN_NONCE = bytes(range(24))
UP, DOWN = bytes(range(100, 132)), bytes(range(200, 232))


def hchacha20(key, nonce):
    s = list(struct.unpack("<4I", b"expand 32-byte k") + struct.unpack("<8I", key) + struct.unpack("<4I", nonce))

    def rotate(v, c):
        return ((v << c) | (v >> (32 - c))) & 0xFFFFFFFF

    def quarter(a, b, c, d):
        for x, y, z, turn in ((a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)):
            s[x] = (s[x] + s[y]) & 0xFFFFFFFF
            s[z] = rotate(s[z] ^ s[x], turn)

    for _ in range(10):
        for i in range(4):
            quarter(i, 4 + i, 8 + i, 12 + i)
        for i in range(4):
            quarter(i, 4 + (i + 1) % 4, 8 + (i + 2) % 4, 12 + (i + 3) % 4)
    return struct.pack("<8I", *s[:4], *s[12:])


def number(sequence):
    count = max(1, (sequence.bit_length() + 7) // 8)
    return sequence.to_bytes(count, "little")


def packet(key, kind, sequence, body):
    digits = number(sequence)
    prefix = bytes([len(digits) << 4 | kind])
    data = VERSION + struct.pack("<Q", PROTOCOL) + prefix
    nonce = b"\0\0\0\0" + struct.pack("<Q", sequence)
    return prefix + digits + ChaCha20Poly1305(key).encrypt(nonce, body, data)


servers = struct.pack("<I", 2) + b"\1\xc0\0\2\1" + struct.pack("<H", 40000)
servers += b"\2" + struct.pack("<8H", 0x2001, 0xDB8, 0, 0, 0, 0, 0, 1) + struct.pack("<H", 40001)
private = struct.pack("<Qi", 0x0102030405060708, TIMEOUT) + servers + UP + DOWN
private += b"a knight".ljust(256, b"\0")
subkey = hchacha20(SHARED_KEY, TOKEN_NONCE[:16])
data = VERSION + struct.pack("<QQ", PROTOCOL, EXPIRES)
sealed = ChaCha20Poly1305(subkey).encrypt(b"\0\0\0\0" + TOKEN_NONCE[16:], private.ljust(1008, b"\0"), data)

token = VERSION + struct.pack("<QQQ", PROTOCOL, CREATED, EXPIRES) + TOKEN_NONCE + sealed
token += struct.pack("<i", TIMEOUT) + servers + UP + DOWN
challenge = struct.pack("<Q", 77) + bytes(i * 7 % 256 for i in range(300))
place = struct.pack("<II", 3, 64)
lines = {
    "token": token.ljust(2048, b"\0"),
    "request": b"\0" + VERSION + struct.pack("<QQ", PROTOCOL, EXPIRES) + TOKEN_NONCE + sealed,
    "challenge": packet(DOWN, 2, 2**63 + 5, challenge),
    "response": packet(UP, 3, 0, challenge),
    "keep_alive_down": packet(DOWN, 4, 0, place),
    "keep_alive_up": packet(UP, 4, 1, place),
    "payload_up": packet(UP, 5, 2, b"hello"),
    "payload_down": packet(DOWN, 5, 1000, b"hello yourself"),
    "disconnect_up": packet(UP, 6, 3, b""),
    "disconnect_down": packet(DOWN, 6, 2**64 - 1, b""),
    "denied": packet(DOWN, 1, 2**63 + 6, b""),
}
for name, content in lines.items():
    print(name, content.hex())
