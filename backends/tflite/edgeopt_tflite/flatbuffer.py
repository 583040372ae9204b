"""Builds a TFLite model: tensors, operators, and the bytes of the file."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from edgeopt.ir.bit_packing import pack_bits
from edgeopt_tflite.versions import oldest_runtime, operator_version

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgeopt.contracts.storage import StorageType
    from edgeopt.ir import QuantSpec

__all__ = ["ModelBuilder", "Tensor"]

_TYPES = {
    "float32": schema.TensorType.FLOAT32,
    "float16": schema.TensorType.FLOAT16,
    "int4": schema.TensorType.INT4,
    "int16": schema.TensorType.INT16,
    "int32": schema.TensorType.INT32,
    "int64": schema.TensorType.INT64,
    "int8": schema.TensorType.INT8,
    "uint8": schema.TensorType.UINT8,
    "bool": schema.TensorType.BOOL,
}
_ALIGNMENT = 16
"""Bytes; what `force_align` in TFLite's schema asks of a buffer."""


@dataclass(frozen=True)
class Tensor:
    """A tensor of the model.

    Attributes:
        index: Its place in the subgraph.
        shape: Its shape as stored.
        dtype: A numpy name.
        grid: The grid it lies on; None for one that is not quantized.
        constant: Whether its values are in the file.
    """

    index: int
    shape: tuple[int, ...]
    dtype: str
    grid: QuantSpec | None = None
    constant: bool = False


class _Buffer(schema.BufferT):  # type: ignore[misc]
    """A buffer whose content is aligned as TFLite's schema asks.

    The generated class aligns vectors to the size of an element, that is not at all.
    """

    def Pack(self, builder: Any) -> Any:  # noqa: N802 (the generated class's name)
        if self.data is None or not len(self.data):
            schema.BufferStart(builder)
            return schema.BufferEnd(builder)
        builder.StartVector(1, len(self.data), _ALIGNMENT)
        builder.head -= len(self.data)
        builder.Bytes[builder.Head() : builder.Head() + len(self.data)] = self.data.tobytes()
        data = builder.EndVector()
        schema.BufferStart(builder)
        schema.BufferAddData(builder, data)
        return schema.BufferEnd(builder)


@dataclass(eq=False)
class _File:
    """What the graphs of a file share: buffers, by their content too, codes of operators, and the list of graphs."""

    buffers: list[Any] = field(default_factory=lambda: [_Buffer()])
    by_content: dict[bytes, int] = field(default_factory=dict)
    codes: dict[tuple[int, int], int] = field(default_factory=dict)
    graphs: list[ModelBuilder] = field(default_factory=list)


@dataclass(eq=False)
class ModelBuilder:
    """Collects tensors and operators of one graph; `finish` makes a file of it.

    Attributes:
        name: The name of the graph.
        operators: For each operator, its name, and the tensors it takes and gives.
    """

    name: str = "main"
    operators: list[tuple[str, tuple[Tensor, ...], tuple[Tensor, ...]]] = field(
        default_factory=list
    )
    _file: _File = field(default_factory=_File)

    def __post_init__(self) -> None:
        self._tensors: list[Any] = []
        self._names: set[str] = set()
        self._packed: list[Any] = []
        self._constants: dict[Any, Tensor] = {}
        self._ports: tuple[Sequence[Tensor], Sequence[Tensor]] = ((), ())
        self._file.graphs.append(self)

    @property
    def graphs(self) -> Sequence[ModelBuilder]:
        """All graphs of the file."""
        return self._file.graphs

    def subgraph(self, name: str) -> ModelBuilder:
        """Returns a builder of another graph of the same file; `close` it."""
        return ModelBuilder(name, _file=self._file)

    def close(self, inputs: Sequence[Tensor], outputs: Sequence[Tensor]) -> int:
        """Says what a graph takes and gives; returns its number in the file."""
        self._ports = (inputs, outputs)
        return self.graphs.index(self)

    def tensor(
        self, name: str, shape: Sequence[int], dtype: str, grid: QuantSpec | None = None
    ) -> Tensor:
        """Returns a new tensor without content; its name is made unique."""
        return self._add(name, tuple(int(d) for d in shape), dtype, grid, 0)

    def constant(
        self,
        name: str,
        values: np.ndarray,
        grid: QuantSpec | None = None,
        axis: int = 0,
        storage: StorageType | None = None,
    ) -> Tensor:
        """Returns a tensor that holds ``values``; equal contents share one buffer.

        Args:
            name: Its name; made unique.
            values: Its content, of a type that TFLite has.
            grid: The grid of integer values.
            axis: Where a grid with one scale a channel has its channels, in ``values``.
            storage: What integers of fewer than 8 bits are packed as.
        """
        # ascontiguousarray turns a scalar into a vector of one; the shape is kept by hand.
        content = np.ascontiguousarray(values).reshape(values.shape)
        kind = str(content.dtype) if storage is None else storage.name
        buffer = self._buffer(content if storage is None else pack_bits(content, storage))
        key = (buffer, content.shape, kind, _identity(grid), axis)
        if key not in self._constants:
            self._constants[key] = self._add(name, content.shape, kind, grid, buffer, axis)
        return self._constants[key]

    def rename(self, tensor: Tensor, name: str) -> None:
        """Calls ``tensor`` by ``name``, where no other is called so."""
        if name not in self._names:
            self._names.add(name)
            self._tensors[tensor.index].name = name

    def name_of(self, index: int) -> str:
        """Returns the name of a tensor."""
        return str(self._tensors[index].name)

    def operator(
        self,
        code: str,
        inputs: Sequence[Tensor | None],
        outputs: Sequence[Tensor],
        options: str = "",
        **values: Any,
    ) -> None:
        """Appends an operator.

        Args:
            code: Its name in ``BuiltinOperator``, for example ``CONV_2D``.
            inputs: What it takes; None for an optional one that is left out.
            outputs: What it gives.
            options: The name of its options without the ending, for example ``Conv2D``.
            **values: The options.
        """
        operands = tuple(t for t in inputs if t is not None)
        table = schema.OperatorT(
            opcodeIndex=self._code(code, operands, tuple(outputs), values),
            inputs=np.array([-1 if t is None else t.index for t in inputs], np.int32),
            outputs=np.array([t.index for t in outputs], np.int32),
        )
        if options:
            table.builtinOptionsType = getattr(schema.BuiltinOptions, f"{options}Options")
            table.builtinOptions = getattr(schema, f"{options}OptionsT")(**values)
        self._packed.append(table)
        self.operators.append((code, operands, tuple(outputs)))

    def finish(
        self,
        inputs: Sequence[tuple[str, Tensor]],
        outputs: Sequence[tuple[str, Tensor]],
        description: str,
    ) -> bytes:
        """Returns the file.

        Args:
            inputs: Name in the signature and tensor, in order.
            outputs: The same for what is returned.
            description: What the model's ``description`` shall say.
        """
        self.close([t for _, t in inputs], [t for _, t in outputs])
        signature = schema.SignatureDefT(
            inputs=[schema.TensorMapT(name, t.index) for name, t in inputs],
            outputs=[schema.TensorMapT(name, t.index) for name, t in outputs],
            signatureKey="serving_default",
        )
        model = schema.ModelT(
            version=3,
            operatorCodes=[_operator_code(*code) for code in self._file.codes],
            subgraphs=[graph.table() for graph in self.graphs],
            description=description,
            buffers=self._file.buffers,
            metadata=[schema.MetadataT("min_runtime_version", self._oldest_runtime())],
            signatureDefs=[signature],
        )
        return _packed(model)

    def table(self) -> Any:
        """Returns the graph as the file holds it."""
        inputs, outputs = self._ports
        return schema.SubGraphT(
            tensors=self._tensors,
            inputs=np.array([t.index for t in inputs], np.int32),
            outputs=np.array([t.index for t in outputs], np.int32),
            operators=self._packed,
            name=self.name,
        )

    def _oldest_runtime(self) -> int:
        """Returns the buffer that says which runtime the file needs, as TFLite writes it."""
        text = oldest_runtime((schema_name(code), version) for code, version in self._file.codes)
        return self._buffer(np.frombuffer(text.encode().ljust(16, b"\0"), np.uint8))

    def _add(
        self,
        name: str,
        shape: tuple[int, ...],
        dtype: str,
        grid: QuantSpec | None,
        buffer: int,
        axis: int = 0,
    ) -> Tensor:
        unique, count = name, 0
        while unique in self._names:
            count += 1
            unique = f"{name}:{count}"
        self._names.add(unique)
        table = schema.TensorT(
            shape=np.array(shape, np.int32),
            type=_TYPES[dtype],
            buffer=buffer,
            name=unique,
            quantization=_quantization(grid, axis) if grid is not None else None,
            hasRank=True,
        )
        self._tensors.append(table)
        return Tensor(len(self._tensors) - 1, shape, dtype, grid, buffer != 0)

    def _buffer(self, content: np.ndarray) -> int:
        raw = content.reshape(-1).view(np.uint8)
        digest = hashlib.sha256(raw.tobytes()).digest()
        if digest not in self._file.by_content:
            self._file.by_content[digest] = len(self._file.buffers)
            self._file.buffers.append(_Buffer(raw))
        return self._file.by_content[digest]

    def _code(
        self,
        code: str,
        inputs: tuple[Tensor, ...],
        outputs: tuple[Tensor, ...],
        options: dict[str, Any],
    ) -> int:
        version = operator_version(code, inputs, outputs, options)
        key = (getattr(schema.BuiltinOperator, code), version)
        return self._file.codes.setdefault(key, len(self._file.codes))


def _packed(model: Any) -> bytes:
    import flatbuffers  # noqa: PLC0415 (used once)

    size = sum(len(b.data) for b in model.buffers if b.data is not None)
    builder = flatbuffers.Builder(size + 65536)
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())


def _operator_code(builtin: int, version: int) -> Any:
    """Codes above 126 do not fit the old field; readers take the larger of both."""
    return schema.OperatorCodeT(
        deprecatedBuiltinCode=min(builtin, 127), version=version, builtinCode=builtin
    )


def schema_name(builtin: int) -> str:
    """Returns the name of a builtin operator's number."""
    return _NAMES[builtin]


_NAMES: dict[int, str] = {
    number: name for name, number in vars(schema.BuiltinOperator).items() if isinstance(number, int)
}


def _identity(grid: QuantSpec | None) -> Any:
    """Returns what two grids have in common where they are the same."""
    if grid is None:
        return None
    return grid.dtype, grid.scale.numpy().tobytes(), grid.zero_point.numpy().tobytes()


def _quantization(grid: QuantSpec, axis: int) -> Any:
    return schema.QuantizationParametersT(
        scale=grid.scale.numpy().astype(np.float32),
        zeroPoint=grid.zero_point.numpy().astype(np.int64),
        quantizedDimension=axis if grid.axis is not None else 0,
    )
