"""Encodes and decodes the frames of vectors/*.json, written from docs/firmware-protocol.md alone, with nothing but Python.

Each argument is a file of vectors; what is wrong ends the program with an error. `--newer` prints the file of a version to come.
"""

import json
import os
import sys

# ChaCha20-Poly1305, RFC 8439.


def rotate(value, by):
    return (value << by | value >> 32 - by) & 0xFFFFFFFF


def quarter(s, a, b, c, d):
    s[a] = s[a] + s[b] & 0xFFFFFFFF
    s[d] = rotate(s[d] ^ s[a], 16)
    s[c] = s[c] + s[d] & 0xFFFFFFFF
    s[b] = rotate(s[b] ^ s[c], 12)
    s[a] = s[a] + s[b] & 0xFFFFFFFF
    s[d] = rotate(s[d] ^ s[a], 8)
    s[c] = s[c] + s[d] & 0xFFFFFFFF
    s[b] = rotate(s[b] ^ s[c], 7)


def block(key, nonce, counter):
    words = [int.from_bytes((key + counter.to_bytes(4, "little") + nonce)[i : i + 4], "little") for i in range(0, 48, 4)]
    start = [0x61707865, 0x3320646E, 0x79622D32, 0x6B206574] + words
    s = list(start)
    for _ in range(10):
        for i in range(4):
            quarter(s, i, 4 + i, 8 + i, 12 + i)
        for i in range(4):
            quarter(s, i, 4 + (i + 1) % 4, 8 + (i + 2) % 4, 12 + (i + 3) % 4)
    return b"".join((a + b & 0xFFFFFFFF).to_bytes(4, "little") for a, b in zip(s, start))


def stream(key, nonce, text):
    blocks = (block(key, nonce, 1 + i // 64) for i in range(0, len(text), 64))
    return bytes(a ^ b for a, b in zip(text, b"".join(blocks)))


def tag(key, nonce, aad, cipher):
    once = block(key, nonce, 0)
    r = int.from_bytes(once[:16], "little") & 0x0FFFFFFC0FFFFFFC0FFFFFFC0FFFFFFF
    pad = lambda data: data + bytes(-len(data) % 16)
    data = pad(aad) + pad(cipher) + len(aad).to_bytes(8, "little") + len(cipher).to_bytes(8, "little")
    total = 0
    for i in range(0, len(data), 16):
        total = (total + int.from_bytes(data[i : i + 16] + b"\x01", "little")) * r % (2**130 - 5)
    return (total + int.from_bytes(once[16:32], "little") & 2**128 - 1).to_bytes(16, "little")


# Integers and fields.


def varint(value):
    out = b""
    while value > 0x7F:
        out += bytes([value & 0x7F | 0x80])
        value >>= 7
    return out + bytes([value])


def zigzag(value):
    return varint((value << 1 ^ value >> 63) & 2**64 - 1)


class Reader:
    def __init__(self, data):
        self.data, self.at = data, 0

    def raw(self, length):
        if self.at + length > len(self.data):
            raise ValueError("cut off")
        self.at += length
        return self.data[self.at - length : self.at]

    def varint(self):
        value, shift = 0, 0
        while True:
            (byte,) = self.raw(1)
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value
            shift += 7

    def zigzag(self):
        value = self.varint()
        return value >> 1 ^ -(value & 1)


# How each form of a field is written, and read.
FORMS = {
    "int": (varint, Reader.varint),
    "signed": (zigzag, Reader.zigzag),
    "byte": (lambda v: bytes([v]), lambda r: r.raw(1)[0]),
    "text": (lambda v: varint(len(v.encode())) + v.encode(), lambda r: r.raw(r.varint()).decode()),
    "bytes": (lambda v: varint(len(v) // 2) + bytes.fromhex(v), lambda r: r.raw(r.varint()).hex()),
    "raw8": (bytes.fromhex, lambda r: r.raw(8).hex()),
    "raw32": (bytes.fromhex, lambda r: r.raw(32).hex()),
    "raw64": (bytes.fromhex, lambda r: r.raw(64).hex()),
}
KINDS = {
    1: ("held", "ticks:int queue:int oldest:int newest:int"),
    2: ("readings", "queue:int number:int boot:int ticks:int unix_ms:int clock:byte"),
    3: ("hello", "ticks:int reset:byte firmware:text hardware:text heard:int refused:int config:int battery_mv:int room:int"),
    4: ("time_request", "ticks:int"),
    5: ("config_report", "version:int outcome:byte unknown:byte"),
    6: ("command_result", "id:int outcome:byte"),
    7: ("chunk_request", "image:raw8 offset:int length:int chunk:int"),
    8: ("update_status", "image:raw8 state:byte have:int"),
    64: ("ack", "queue:int through:int also:int"),
    65: ("time_answer", "ticks:int unix_ms:int clock:byte"),
    66: ("config", "version:int"),
    67: ("command", "id:int action:byte channel:byte value:signed"),
    68: ("offer", "hash:raw32 size:int version:text hardware:text channel:text signature:raw64"),
    69: ("chunk", "image:raw8 offset:int data:bytes"),
    70: ("withdraw", "image:raw8"),
}


def parts(fields):
    return [part.split(":") for part in fields.split()]


def write_reading(r):
    out = varint(r["after_ms"]) + bytes([r["channel"], r["quality"] | r["flaw"] << 2])
    if "value" in r:
        out += bytes([r["measure"]]) + zigzag(r["value"])
    elif "iso" in r:
        out += b"\x64" + varint(r["iso"]["country"]) + varint(r["iso"]["national"])
    elif "epc" in r:
        out += b"\x65" + FORMS["bytes"][0](r["epc"])
    else:
        out += b"\x66" + varint(r["em4100"])
    return bytes([len(out)]) + out


def read_reading(data):
    reader = Reader(data)
    r = {"after_ms": reader.varint(), "channel": reader.raw(1)[0]}
    (state, kind) = reader.raw(2)
    r["quality"], r["flaw"] = state & 3, state >> 2
    if 1 <= kind <= 99:
        r["measure"], r["value"] = kind, reader.zigzag()
    elif kind == 100:
        r["iso"] = {"country": reader.varint(), "national": reader.varint()}
    elif kind == 101:
        r["epc"] = reader.raw(reader.varint()).hex()
    elif kind == 102:
        r["em4100"] = reader.varint()
    else:
        r["unknown"] = {"kind": kind, "contents": data[reader.at :].hex()}
    return r


def write_record(record):
    fields = record["fields"]
    out = b"".join(FORMS[form][0](fields[name]) for name, form in parts(KINDS[record["kind"]][1]))
    if record["name"] == "readings":
        out += bytes([len(fields["readings"])]) + b"".join(map(write_reading, fields["readings"]))
    if record["name"] == "config":
        out += bytes([len(fields["settings"])])
        out += b"".join(varint(key) + zigzag(value) for key, value in fields["settings"])
    return bytes([record["kind"]]) + len(out).to_bytes(2, "little") + out


def read_record(kind, contents):
    if kind not in KINDS:
        return {"kind": kind, "name": "unknown", "fields": {"contents": contents.hex()}}
    reader = Reader(contents)
    name, form = KINDS[kind]
    fields = {name: FORMS[form][1](reader) for name, form in parts(form)}
    if name == "readings":
        fields["readings"] = [read_reading(reader.raw(reader.raw(1)[0])) for _ in range(reader.raw(1)[0])]
    if name == "config":
        fields["settings"] = [[reader.varint(), reader.zigzag()] for _ in range(reader.raw(1)[0])]
    return {"kind": kind, "name": name, "fields": fields}


# Frames.


def nonce(header):
    direction = b"\x01" if header["direction"] == "down" else b"\x00"
    return direction + header["boot"].to_bytes(4, "big") + header["seq"].to_bytes(7, "big")


def seal(key, header, plain):
    direction = b"\x01" if header["direction"] == "down" else b"\x00"
    head = bytes([header["version"]]) + direction + bytes.fromhex(header["device"])
    head += varint(header["boot"]) + varint(header["seq"])
    cipher = stream(key, nonce(header), plain)
    return head + cipher + tag(key, nonce(header), head, cipher)


def open_frame(key, frame):
    reader = Reader(frame)
    version, direction = reader.raw(2)
    assert version >> 4 == 1, "another generation"
    header = {"version": version, "direction": ["up", "down"][direction], "device": reader.raw(8).hex()}
    header["boot"], header["seq"] = reader.varint(), reader.varint()
    cipher = frame[reader.at : -16]
    assert tag(key, nonce(header), frame[: reader.at], cipher) == frame[-16:], "not authentic"
    return header, stream(key, nonce(header), cipher)


def records(plain):
    reader, found = Reader(plain), []
    while reader.at < len(plain):
        (kind,) = reader.raw(1)
        found.append(read_record(kind, reader.raw(int.from_bytes(reader.raw(2), "little"))))
    return found


def cobs(frame):
    # Runs without zeros; one of 254 bytes ends by itself, and the zero that is thought at the end ends the last.
    out = b""
    rest = frame + b"\x00"
    while rest:
        run = rest[: rest.index(0)][:254]
        out += bytes([len(run) + 1]) + run
        rest = rest[len(run) + (len(run) < 254) :]
        if rest == b"\x00" and len(run) == 254:
            break
    return out + b"\x00"


def check(path):
    vectors = json.load(open(path))
    for v in vectors:
        key, frame = bytes.fromhex(v["key"]), bytes.fromhex(v["frame"])
        header, plain = open_frame(key, frame)
        assert header == v["header"], (v["name"], header)
        assert records(plain) == v["records"], (v["name"], records(plain))
        if "plain" in v:
            assert plain.hex() == v["plain"], v["name"]
            made = b"".join(map(write_record, v["records"]))
            assert made == plain, (v["name"], made.hex())
            assert seal(key, v["header"], made) == frame, v["name"]
            assert cobs(frame).hex() == v["serial"], v["name"]
    return f"{len(vectors)} of {os.path.basename(path)}"


def newer():
    """What version 0x11 might write: more fields, more kinds, more codes."""
    key = bytes(range(0x40, 0x60))
    frames = []

    def add(name, direction, seq, plain):
        header = {"version": 0x11, "direction": direction, "device": "8f3a119c5207e4b6", "boot": 9, "seq": seq}
        frame = seal(key, header, plain)
        frames.append({"name": name, "key": key.hex(), "header": header, "records": records(plain), "frame": frame.hex()})

    def record(kind, contents):
        return bytes([kind]) + len(contents).to_bytes(2, "little") + contents

    def longer(kind, fields, extra):
        contents = write_record({"kind": kind, "name": KINDS[kind][0], "fields": fields})[3:]
        return record(kind, contents + extra)

    held = {"ticks": 5000, "queue": 1, "oldest": 50, "newest": 50}
    batch = {"queue": 1, "number": 50, "boot": 9, "ticks": 4000, "unix_ms": 0, "clock": 0}
    item = lambda data: bytes([len(data)]) + data
    readings = b"".join([
        item(b"\x00\x00\x00\x01" + zigzag(4125) + b"more of it"),
        item(b"\x05\x02\x00\x39" + zigzag(-77)),
        item(b"\x06\x02\x00\xc8" + b"a kind that is no number"),
        item(b"\x07\x01\xfe\x64" + varint(50) + varint(7) + b"\x01"),
    ])
    head = b"".join(FORMS[form][0](batch[name]) for name, form in parts(KINDS[2][1]))
    add("readings with more in them", "up", 1, longer(1, held, b"\x07") + record(2, head + b"\x04" + readings + b"after the last"))
    hello = {"ticks": 1, "reset": 77, "firmware": "2.0", "hardware": "esp32p4", "heard": 2**40, "refused": 3, "config": 4, "battery_mv": 0, "room": 10}
    add("kinds between kinds", "up", 2, record(40, b"unheard of") + longer(3, hello, b"\x01\x02\x03") + record(41, b""))
    add("an answer with more in it", "down", 3, longer(64, {"queue": 1, "through": 50, "also": 0}, b"\xff" * 20) + record(200, bytes(300)) + longer(65, {"ticks": 1, "unix_ms": 1795219203500, "clock": 9}, b"\x00"))
    add("settings and orders unheard of", "down", 4, longer(66, {"version": 5, "settings": [[1, 60], [900, -1]]}, b"\x09") + longer(67, {"id": 18, "action": 99, "channel": 0, "value": 5}, b"\x01"))
    print(json.dumps(frames, indent=2))


if sys.argv[1:] == ["--newer"]:
    newer()
else:
    print(", ".join(check(path) for path in sys.argv[1:]))
