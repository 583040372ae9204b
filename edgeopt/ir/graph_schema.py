"""What a graph in torch.export's JSON schema may hold, as types: anything else is refused or left out.

torch's own reader evaluates dimensions, resolves callees and classes by name, unpickles objects,
and writes names into code that it executes. So a foreign graph is decoded into these types, which
have no place for any of that, and what torch is given is written anew from them.
Source: ``torch/_export/serde/schema.py``, whose fields and meanings these are.
"""

from __future__ import annotations

import keyword
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from edgeopt.ir.operators_known import check_operator
from edgeopt.ir.tree_specs import plain_tree

__all__ = ["ExportedGraph", "PayloadConfig", "TensorMeta"]

MAJOR = 8
"""Of the schema's version: torch changes it with each change that breaks readers."""
_INT = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
_FLOAT = float | Literal["Infinity", "-Infinity", "NaN"]
_NOTHING = Annotated[dict[str, Any], Meta(max_length=0)]
_MAX_NAME = 1000


def _check_name(name: str) -> None:
    """Names of values become names in code."""
    if not (name.isascii() and name.isidentifier()) or keyword.iskeyword(name):
        raise ValueError(f"a value is called {name[:60]!r}")
    if len(name) > _MAX_NAME:
        raise ValueError(f"a name of {len(name)} characters")


def check_path(path: str) -> None:
    """Names of weights become paths of attributes in code, in quotes where they must.

    Raises:
        ValueError: One could end the quotes, or reach into Python itself.
    """
    odd = not path.isprintable() or set(path) & set("'\"\\`") or len(path) > _MAX_NAME
    if odd or any(not part or part.startswith("__") for part in path.split(".")):
        raise ValueError(f"a weight is called {path[:60]!r}")


class _Union(Struct, forbid_unknown_fields=True):
    """Exactly one of its fields is there."""

    def __post_init__(self) -> None:
        kinds = [name for name in self.__struct_fields__ if getattr(self, name) is not UNSET]
        if len(kinds) != 1:
            raise ValueError(f"{len(kinds)} kinds of value in one place")


class TensorArgument(Struct):
    name: str

    def __post_init__(self) -> None:
        _check_name(self.name)


class Integer(_Union):
    """A whole number. Expressions of dynamic dimensions have no place."""

    as_int: _INT | UnsetType = UNSET
    as_expr: Any = UNSET

    def __post_init__(self) -> None:
        if self.as_expr is not UNSET:
            text = self.as_expr.get("expr_str") if isinstance(self.as_expr, dict) else self.as_expr
            raise ValueError(f"a dimension is the expression {str(text)[:60]!r}")
        super().__post_init__()


class Device(Struct):
    type: Literal["cpu"]
    index: Literal[0] | None = None


class TensorMeta(Struct):
    """Shape, type and place of a tensor: strided, on the CPU."""

    dtype: Annotated[int, Meta(ge=1, le=99)]
    sizes: Annotated[list[Integer], Meta(max_length=64)]
    requires_grad: bool
    device: Device
    strides: Annotated[list[Integer], Meta(max_length=64)]
    storage_offset: Integer
    layout: Literal[7]  # strided

    @property
    def dimensions(self) -> tuple[list[int], list[int]]:
        """Sizes, and strides in elements."""
        return [_number(d) for d in self.sizes], [_number(d) for d in self.strides]

    @property
    def first_element(self) -> int:
        """The first element's place in its storage."""
        return _number(self.storage_offset)


def _number(held: Integer) -> int:
    return held.as_int if isinstance(held.as_int, int) else 0


class OptionalTensor(_Union):
    as_tensor: TensorArgument | UnsetType = UNSET
    as_none: bool | UnsetType = UNSET


class Complex(Struct):
    real: _FLOAT
    imag: _FLOAT


class Argument(_Union):
    """Of the schema's kinds those that are data; a graph within the graph is checked alike."""

    as_none: bool | UnsetType = UNSET
    as_tensor: TensorArgument | UnsetType = UNSET
    as_tensors: list[TensorArgument] | UnsetType = UNSET
    as_int: _INT | UnsetType = UNSET
    as_ints: list[_INT] | UnsetType = UNSET
    as_float: _FLOAT | UnsetType = UNSET
    as_floats: list[_FLOAT] | UnsetType = UNSET
    as_string: str | UnsetType = UNSET
    as_strings: list[str] | UnsetType = UNSET
    as_sym_int: Integer | UnsetType = UNSET
    as_sym_ints: list[Integer] | UnsetType = UNSET
    as_scalar_type: Annotated[int, Meta(ge=0, le=99)] | UnsetType = UNSET
    as_memory_format: Annotated[int, Meta(ge=0, le=9)] | UnsetType = UNSET
    as_layout: Annotated[int, Meta(ge=0, le=9)] | UnsetType = UNSET
    as_device: Device | UnsetType = UNSET
    as_bool: bool | UnsetType = UNSET
    as_bools: list[bool] | UnsetType = UNSET
    as_graph: GraphArgument | UnsetType = UNSET
    as_optional_tensors: list[OptionalTensor] | UnsetType = UNSET
    as_optional_tensor: OptionalTensor | UnsetType = UNSET
    as_complex: Complex | UnsetType = UNSET


def _check_text(text: str | UnsetType) -> None:
    """A text that is an input of the graph is compared in generated code, in quotes."""
    if text is not UNSET and (not text.isprintable() or set(text) & set("'\"\\`")):
        raise ValueError(f"an input is the text {text[:60]!r}")


class GraphArgument(Struct):
    name: str
    graph: Graph

    def __post_init__(self) -> None:
        _check_name(self.name)


class NamedArgument(Struct):
    name: str
    arg: Argument
    kind: Literal[0, 1, 2] | None = None

    def __post_init__(self) -> None:
        if self.name and not (self.name.isascii() and self.name.isidentifier()):
            raise ValueError(f"an argument is called {self.name[:60]!r}")


class NodeHistory(Struct, omit_defaults=True):
    """What is kept of a node's metadata: text for messages."""

    stack_trace: str = ""
    nn_module_stack: str = ""


class Node(Struct):
    target: str
    inputs: list[NamedArgument]
    outputs: list[Argument]
    metadata: NodeHistory
    is_hop_single_tensor_return: bool | None = None
    name: str | None = None

    def __post_init__(self) -> None:
        check_operator(self.target)
        if self.name is not None:
            _check_name(self.name)


class Graph(Struct):
    inputs: list[Argument]
    outputs: list[Argument]
    nodes: list[Node]
    tensor_values: dict[str, TensorMeta]
    sym_int_values: _NOTHING = {}
    sym_bool_values: _NOTHING = {}
    is_single_tensor_return: bool = False
    custom_obj_values: _NOTHING = {}
    sym_float_values: _NOTHING = {}

    def __post_init__(self) -> None:
        for name in self.tensor_values:
            _check_name(name)
        for argument in self.inputs:
            _check_text(argument.as_string)


class UserSpec(Struct):
    arg: Argument


class Constant(_Union):
    as_none: bool | UnsetType = UNSET
    as_int: _INT | UnsetType = UNSET
    as_float: _FLOAT | UnsetType = UNSET
    as_string: str | UnsetType = UNSET
    as_bool: bool | UnsetType = UNSET

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_text(self.as_string)


class ConstantInput(Struct):
    name: str
    value: Constant

    def __post_init__(self) -> None:
        _check_name(self.name)


class ParameterSpec(Struct):
    arg: TensorArgument
    parameter_name: str

    def __post_init__(self) -> None:
        check_path(self.parameter_name)


class BufferInput(Struct):
    arg: TensorArgument
    buffer_name: str
    persistent: bool

    def __post_init__(self) -> None:
        check_path(self.buffer_name)


class BufferOutput(Struct):
    arg: TensorArgument
    buffer_name: str

    def __post_init__(self) -> None:
        check_path(self.buffer_name)


class TensorConstant(Struct):
    arg: TensorArgument
    tensor_constant_name: str

    def __post_init__(self) -> None:
        check_path(self.tensor_constant_name)


class UserInputChange(Struct):
    arg: TensorArgument
    user_input_name: str

    def __post_init__(self) -> None:
        _check_name(self.user_input_name)


class InputSpec(_Union):
    user_input: UserSpec | UnsetType = UNSET
    parameter: ParameterSpec | UnsetType = UNSET
    buffer: BufferInput | UnsetType = UNSET
    tensor_constant: TensorConstant | UnsetType = UNSET
    constant_input: ConstantInput | UnsetType = UNSET


class OutputSpec(_Union):
    user_output: UserSpec | UnsetType = UNSET
    buffer_mutation: BufferOutput | UnsetType = UNSET
    parameter_mutation: ParameterSpec | UnsetType = UNSET
    user_input_mutation: UserInputChange | UnsetType = UNSET


class GraphSignature(Struct):
    input_specs: list[InputSpec]
    output_specs: list[OutputSpec]


class CallSignature(Struct):
    inputs: list[Argument]
    outputs: list[Argument]
    in_spec: str
    out_spec: str
    forward_arg_names: list[str] | None = None

    def __post_init__(self) -> None:
        for name in self.forward_arg_names or ():
            _check_name(name)


class RootCall(Struct):
    fqn: Literal[""]
    signature: CallSignature


class FieldNames(Struct):
    field_names: list[str]


class GraphModule(Struct):
    graph: Graph
    signature: GraphSignature
    module_call_graph: Annotated[list[msgspec.Raw], Meta(min_length=1)]
    treespec_namedtuple_fields: dict[str, FieldNames] = {}


class Version(Struct):
    major: int
    minor: int

    def __post_init__(self) -> None:
        if self.major != MAJOR:
            raise ValueError(f"version {self.major} of torch's schema, which is not known")


class ExportedGraph(Struct):
    """The whole document. Guards, metadata, ranges and calls of submodules are left out."""

    graph_module: GraphModule
    schema_version: Version
    verifiers: list[Literal["ATEN", "TRAINING"]] = []

    def for_torch(self) -> dict[str, Any]:
        """Returns the document written anew, for torch's reader.

        Raises:
            ValueError: The structure of arguments or results is of other than builtin types.
            msgspec.MsgspecError: There is no signature of the call.
        """
        module = self.graph_module
        names = {
            name: entry.field_names for name, entry in module.treespec_namedtuple_fields.items()
        }
        call = msgspec.json.decode(module.module_call_graph[0], type=RootCall)
        signature = call.signature
        signature.in_spec = plain_tree(signature.in_spec, names, call=True)
        signature.out_spec = plain_tree(signature.out_spec, names)
        return {
            "graph_module": {
                "graph": msgspec.to_builtins(module.graph),
                "signature": msgspec.to_builtins(module.signature),
                "module_call_graph": [msgspec.to_builtins(call)],
                "metadata": {},
                "treespec_namedtuple_fields": {},
            },
            "opset_version": {},
            "range_constraints": {},
            "schema_version": msgspec.to_builtins(self.schema_version),
            "verifiers": self.verifiers,
            "guards_code": [],
        }


class Payload(Struct):
    """One weight or constant of a ``.pt2`` file: where its bytes are."""

    path_name: str
    is_param: bool
    use_pickle: bool
    tensor_meta: TensorMeta | None

    def __post_init__(self) -> None:
        if self.use_pickle or self.tensor_meta is None:
            raise ValueError("more than tensors: a weight that is a pickle")


class PayloadConfig(Struct):
    """The weights or constants of a ``.pt2`` file by their names."""

    config: dict[str, Payload]

    def __post_init__(self) -> None:
        for name in self.config:
            check_path(name)
