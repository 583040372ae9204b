"""Makes damaged and hostile inputs of honest ones, the same for the same seed."""

from __future__ import annotations

import copy
import io
import json
import re
import zipfile

NASTY = (
    *(
        "",
        "\x00",
        "\x1b[2J",
        "../../etc/passwd",
        "a" * 5000,
        "ü" * 100,
        "\ud800".encode("utf-16", "surrogatepass").hex(),
    ),
    *(0, -1, 1, 2**31, 2**63 - 1, 2**63, -(2**63) - 1, 10**40, 1e308, -0.0, 0.5, 1e-320),
    *(True, False, None, [], {}, [[]], {"": {}}, ["x"], [None], {"a": None}),
)
TOKENS = (
    *(b"\xff", b"\x00", b"\xed\xa0\x80", b"nan", b"inf", b"-inf", b"1e999", b"NaN", b"Infinity"),
    *(b"[" * 3000, b'{"a":' * 3000, b"9" * 5000, b'"', b"\\u0000", b"\\ud800", b"'''", b'"""'),
    *(
        b"[[a]]\n",
        b"[a.b.c]\n",
        b"a.b = 1\n",
        b"= ",
        b"#",
        b"\n",
        b"1979-05-27T07:32:00Z",
        b"{}",
        b"[]",
    ),
)
NUMBER = re.compile(rb"-?\d+(\.\d+)?([eE][+-]?\d+)?")


def text(random, content):
    """Returns a text with tokens put in, taken out, swapped or repeated."""
    parts = re.split(rb"(\s+|[\[\]{}=,:\"])", content)
    for _ in range(random.choice((1, 1, 1, 2, 4))):
        at = random.randrange(len(parts))
        kind = random.randrange(6)
        if kind == 0:
            parts[at] = random.choice(TOKENS)
        elif kind == 1:
            parts[at] = b""
        elif kind == 2:
            parts.insert(at, random.choice(TOKENS))
        elif kind == 3:
            other = random.randrange(len(parts))
            parts[at], parts[other] = parts[other], parts[at]
        elif kind == 4:
            parts[at] = NUMBER.sub(lambda _: number(random), parts[at])
        else:
            stop = min(len(parts), at + random.randrange(1, 20))
            parts[at:at] = parts[at:stop]
    return b"".join(parts)


def number(random):
    return str(random.choice([v for v in NASTY if isinstance(v, int | float)])).encode()


def tree(random, content):
    """Returns a JSON document with a value replaced, dropped, moved or renamed."""
    document = json.loads(content)
    for _ in range(random.choice((1, 1, 2, 3))):
        places = list(places_of(document))
        if not places:
            break
        owner, key = random.choice(places)
        kind = random.randrange(5)
        if kind == 0:
            del owner[key]
        elif kind == 1:
            other, name = random.choice(places)
            owner[key] = copy.deepcopy(other[name]) if not _within(owner, other[name]) else None
        elif kind == 2 and isinstance(owner, dict):
            owner[random.choice(("", "x" * 300, "__enum__", "\x1b[0m", key.upper()))] = owner.pop(
                key
            )
        elif kind == 3 and isinstance(owner[key], str) and owner[key]:
            at = random.randrange(len(owner[key]))
            owner[key] = (
                owner[key][:at] + random.choice(("\x00", "é", "'", '"', ".", "/")) + owner[key][at:]
            )
        else:
            owner[key] = copy.deepcopy(random.choice(NASTY))
    return json.dumps(document).encode()


def _within(owner, value):
    return isinstance(value, dict | list) and str(id(owner)) in {
        str(id(o)) for o, _ in places_of(value)
    } | {str(id(value))}


def places_of(document):
    todo = [document]
    while todo:
        held = todo.pop()
        keys = (
            list(held)
            if isinstance(held, dict)
            else range(len(held))
            if isinstance(held, list)
            else ()
        )
        for key in keys:
            yield held, key
            todo.append(held[key])


def binary(random, content):
    """Returns bytes with bits turned over, parts cut, doubled, zeroed, or numbers made giant."""
    held = bytearray(content)
    for _ in range(random.choice((1, 1, 2, 8))):
        if not held:
            break
        at = random.randrange(len(held))
        kind = random.randrange(7)
        if kind == 0:
            held[at] ^= 1 << random.randrange(8)
        elif kind == 1:
            del held[at:]
        elif kind == 2:
            held[at : at + 4] = random.choice((b"\xff" * 4, b"\0" * 4, b"\xff\xff\xff\x7f"))
        elif kind == 3:
            held[at : at + 8] = b"\xff" * 8
        elif kind == 4:
            stop = min(len(held), at + random.randrange(1, 64))
            held[at:at] = held[at:stop]
        elif kind == 5:
            del held[at : at + random.randrange(1, 64)]
        else:
            held[at] = random.randrange(256)
    return bytes(held)


def members(random, content):
    """Returns a zip with fitting checksums whose members are damaged, each by its kind."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        held = {name: archive.read(name) for name in archive.namelist()}
    name = random.choice(sorted(held))
    kind = random.randrange(8)
    if kind == 0:
        del held[name]
    elif kind == 1:
        held[random.choice((name.upper(), f"../{name}", "/x", "x" * 300, f"{name}/y"))] = held[name]
    elif name.endswith(".json"):
        held[name] = (tree if kind > 3 else text)(random, held[name])
    else:
        held[name] = binary(random, held[name])
    stream = io.BytesIO()
    packing = zipfile.ZIP_DEFLATED if random.randrange(10) == 0 else zipfile.ZIP_STORED
    with zipfile.ZipFile(stream, "w", packing) as archive:
        for one, data in held.items():
            archive.writestr(zipfile.ZipInfo(one), data, compress_type=packing)
    return stream.getvalue()


def any_json(random, content):
    return random.choice((tree, tree, text, binary))(random, content)


def any_toml(random, content):
    return random.choice((text, text, text, binary))(random, content)


def any_zip(random, content):
    return random.choice((members, members, members, binary))(random, content)
