"""Reads files that are small on the disk and large in memory, and says how far the process grew.

    python memory.py [PART OF A NAME]

Runs by itself, so that nothing else counts. Each reader takes its honest file first; then the peak is
set back (``/proc/self/clear_refs``), it takes a hostile one, and what the peak rose above what was in
use is printed: a JSON line a file, with what the reader said.
"""

from __future__ import annotations

import io
import json
import os
import struct
import sys
import tempfile
import zipfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

SPARSE = 20 << 30
SMALL = 100_000
"""Bytes on the disk that a hostile file may have."""


def in_use_mb(name="VmRSS"):
    rows = dict(r.split(":", 1) for r in Path("/proc/self/status").read_text().splitlines())
    return int(rows[name].split()[0]) / 1024


def growth_mb(call):
    """Returns what ``call`` said, and how far the peak rose above what was in use."""
    Path("/proc/self/clear_refs").write_text("5")
    before = in_use_mb()
    try:
        call()
        said = "taken"
    except Exception as error:  # noqa: BLE001 (the test looks at its type)
        said = f"{type(error).__module__}.{type(error).__name__}: {error}"
    return said, in_use_mb("VmHWM") - before


def deflated(members):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return stream.getvalue()


def big_json(honest, size):
    """Returns the document with lists of lists in it, as large as ``size`` bytes."""
    return honest[:-1] + b', "more": [' + b"[]," * (size // 3) + b"[]]}"


def archives(content):
    """Yields hostile forms of a program archive or a .pt2, by name."""
    import attacks

    members = attacks.members_of(content)
    name = attacks.graph_name(members)
    for kind, size in (("75 KB", 75_000), ("99 KB", 99_000)):
        bulk = {**members, name: big_json(members[name], size * 950)}
        yield f"{kind} of deflated JSON", deflated(bulk)
    yield "deep JSON", attacks.zipped({**members, name: b"[" * 90_000})
    yield "deep objects", attacks.zipped({**members, name: b'{"a":' * 18_000})
    yield "many lists", attacks.zipped({**members, name: big_json(members[name], 60_000)})
    yield "many members", attacks.zipped({**members, **{f"x{i}": b"" for i in range(900)}})
    yield "an end that says 100,000 members", content[:-12] + b"\xff" * 4 + content[-8:]
    for size in (2**20, 2**31, 2**40, 2**62):
        yield f"sizes of {size}", attacks.with_graph(larger(size))(content)
    for size in (2**31, 2**50):
        yield f"weights said to be {size}", attacks.zipped(declared(members, size))


def larger(size):
    def change(document):
        for tensor in document["graph_module"]["graph"]["tensor_values"].values():
            tensor["sizes"] = [{"as_int": size}] * len(tensor["sizes"])

    return change


def declared(members, size):
    """Returns the members with weights that say they are ``size`` long."""
    changed = dict(members)
    for name, content in members.items():
        if name.endswith("_config.json"):
            document = json.loads(content)
            for entry in document["config"].values():
                entry["tensor_meta"]["sizes"] = [{"as_int": size}]
                entry["tensor_meta"]["strides"] = [{"as_int": 0}]
            changed[name] = json.dumps(document).encode()
        if name.endswith(".safetensors"):
            changed[name] = tensors(size)
    return changed


def tensors(size):
    facts = {"dtype": "F32", "shape": [size], "data_offsets": [0, size * 4 % 2**63]}
    head = json.dumps({"constant/p_0_weight": facts}).encode()
    return struct.pack("<Q", len(head)) + head + bytes(64)


def npy(shape, dtype="<f4", body=b""):
    head = f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head)) + head + body


ARRAYS = {
    "a shape of 2**40": npy((2**40,)),
    "a shape of 2**62": npy((2**62, 2)),
    "a shape of zeros and giants": npy((0, 2**62)),
    "a giant element": npy((1,), "<U1000000000"),
    "a header that says 4 GB": b"\x93NUMPY\x02\x00" + b"\xff" * 4 + b"{}",
    "a shape of many axes": npy((1,) * 60, body=bytes(4)),
    "an .npz that says 4 GB": b"PK\5\6" + bytes(4) + b"\xff" * 12 + bytes(2),
}


def holes(path, head=b""):
    """Makes ``path`` a file of 20 GB of which nothing but its head is on the disk."""
    with path.open("wb") as file:
        file.write(head)
        file.truncate(SPARSE)


def cases(room):
    """Yields (name, call) in order; every file lies below ``room``."""
    from targets import Target, targets

    for target in targets(room):
        assert isinstance(target, Target)
        target.read(target.honest)
        content = ()
        if target.name in {"program", "pt2"}:
            content = archives(target.honest)
        elif target.name in {"golden array", "npy of a user", "npz of a user", "packed npz"}:
            content = ARRAYS.items()
        elif target.name == "pruned weights":
            content = [(f"weights of {n}", tensors(n)) for n in (2**31, 2**60)]
            content.append(("a header that says 2**60", struct.pack("<Q", 2**60) + bytes(60)))
        elif target.name == "bundle":
            content = [("deflated", deflated({"manifest.json": b" " * (90 << 20)}))]
        elif target.name not in {"lock of a device", "outputs of a device"}:
            content = [("deep lists", b"[" * 90_000), ("deep tables", b'{"a":' * 18_000)]
            content.append(("many lists", b"[" + b"[]," * 30_000 + b"[]]"))
        for kind, hostile in content:
            assert len(hostile) <= 6 * SMALL, (target.name, kind, len(hostile))
            yield f"{target.name}: {kind}", lambda t=target, h=hostile: t.read(h)
    yield from sparse(room)
    yield from swapped(room)


def sparse(room):
    """Files of 20 GB of holes, in place of each that is read whole."""
    from edgeopt.bundles import read_bundle
    from edgeopt.cli.sources import load_data, load_model
    from edgeopt.devices.registry import known_devices
    from edgeopt.measure.history import read_history
    from edgeopt.recipes.recipe import read_recipe
    from edgeopt.registry.descriptor import read_descriptor
    from edgeopt.training.checkpoint import read_checkpoint
    from targets import toy_bundle

    place = room / "sparse"
    place.mkdir()
    for name, head, read in (
        ("m.pt2", b"PK\3\4", lambda p: load_model(str(p))),
        ("m.zip", b"PK\3\4", lambda p: load_model(str(p))),
        ("b.zip", b"PK\3\4", read_bundle),
        ("a.npy", npy((5 << 30,)), lambda p: list(load_data(str(p)))),
        ("a.npz", b"PK\3\4", lambda p: list(load_data(str(p)))),
        ("t.toml", b"", read_descriptor),
        ("r.toml", b"", read_recipe),
        ("h.jsonl", b"", read_history),
    ):
        holes(place / name, head)
        yield f"holes: {name}", lambda r=read, n=name: r(place / n)
    holes(room / "config" / "edgeopt" / "devices.toml")
    yield "holes: device registry", known_devices
    holes(room / "checkpoint" / "step-3" / "model.safetensors")
    yield "holes: checkpoint", lambda: read_checkpoint(room / "checkpoint")
    bundle = toy_bundle(room, "sparse-bundle").path
    holes(bundle / "model" / "model.json")
    yield "holes: a bundle's model", lambda: read_bundle(bundle)


def swapped(room):
    """Files of a bundle that are swapped after it was read."""
    from targets import toy_bundle

    for name in ("manifest.json", "model/model.json", "report.json"):
        bundle = toy_bundle(room, f"swapped-{name.replace('/', '-')}")
        holes(bundle.path / name, b"{")
        yield f"swapped: {name}, pack()", bundle.pack
        yield f"swapped: {name}, files()", bundle.files
    bundle = toy_bundle(room, "swapped-to-many")
    plain = json.loads((bundle.path / "manifest.json").read_bytes())
    plain["files"] |= {f"f{i}": {"sha256": "0" * 64, "size_bytes": 1 << 40} for i in range(900)}
    (bundle.path / "manifest.json").write_text(json.dumps(plain))
    yield "swapped: a manifest of giants, pack()", bundle.pack


def main():
    """Prints a line a case."""
    only = sys.argv[1] if len(sys.argv) > 1 else ""
    os.environ["OMP_NUM_THREADS"] = "1"
    with tempfile.TemporaryDirectory(prefix="edgeopt-memory-") as folder:
        for name, call in cases(Path(folder)):
            if only in name:
                said, grown = growth_mb(call)
                line = json.dumps({"name": name, "said": said[:200], "growth_mb": round(grown, 1)})
                sys.stdout.write(line + "\n")
                sys.stdout.flush()


if __name__ == "__main__":
    main()
