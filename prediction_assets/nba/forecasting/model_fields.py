"""What a stored model's description is made of: nodes, their fields with limits, and arrays.

A node has a kind and fields; a field is a number, a list of numbers, an array's name or the position of an earlier
node. What doesn't belong here: which kinds there are (:mod:`.model_document`).
"""

from __future__ import annotations

import base64
import io
import math
import struct
import zipfile
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from prediction_assets.errors import PredictionAssetsError

MOST_BYTES = 64 * 2**20
"""Bytes of all arrays together."""

_COMPRESSIONS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_DAMAGED = (
    zipfile.BadZipFile, zlib.error, struct.error, EOFError, OSError, OverflowError, RuntimeError, ValueError,
)  # fmt: skip
"""What zipfile raises of a damaged, foreign or encrypted file."""


class Refused(Exception):
    """A field of a document isn't what it must be; the message names it."""

    def __init__(self, where: str, problem: str) -> None:
        super().__init__(where, problem)
        self.where, self.problem = where, problem


@dataclass(frozen=True, slots=True)
class Number:
    """A field that is a number within limits."""

    least: float
    most: float
    is_whole: bool = False

    def write(self, value: Any, writer: Writer) -> Any:
        return int(value) if self.is_whole else float(value)

    def read(self, stored: Any, where: str, reader: Reader) -> float:
        kinds = (int,) if self.is_whole else (int, float)
        if type(stored) not in kinds or not self.least <= stored <= self.most:
            raise Refused(where, f"is no number from {self.least:g} to {self.most:g}")
        return int(stored) if self.is_whole else float(stored)


@dataclass(frozen=True, slots=True)
class Numbers:
    """A field that is a tuple of numbers within limits, of a fixed length unless that is None."""

    least: float
    most: float
    length: int | None = None

    def write(self, value: Any, writer: Writer) -> Any:
        return [float(each) for each in value]

    def read(self, stored: Any, where: str, reader: Reader) -> tuple[float, ...]:
        if not isinstance(stored, list) or self.length not in (None, len(stored)):
            raise Refused(where, f"is no list of {self.length or 'some'} numbers")
        return tuple(Number(self.least, self.most).read(each, where, reader) for each in stored)


@dataclass(frozen=True, slots=True)
class Array:
    """A field that is an array: its type as numpy spells it, its dimensions, and the largest absolute value."""

    dtype: str
    dimensions: int
    largest: float = 1e6
    # the values may be infinite: a tree's threshold is, where it only separates missing values
    infinite: bool = False

    def write(self, value: Any, writer: Writer) -> Any:
        return writer.array(np.ascontiguousarray(value, dtype=self.dtype))

    def read(self, stored: Any, where: str, reader: Reader) -> npt.NDArray[Any]:
        array = reader.array(stored, where)
        if array.dtype.str != self.dtype or array.ndim != self.dimensions:
            raise Refused(where, f"is no {self.dtype} array of {self.dimensions} dimensions")
        if array.dtype == np.bool_:  # any other byte would be a value that is neither
            array = array.view(np.uint8) == 1
        within = np.abs(array.astype(np.float64)) <= self.largest
        if self.infinite:
            within |= np.isinf(array)
        if not within.all():
            raise Refused(where, f"has a value that isn't finite or exceeds {self.largest:g}")
        return array


@dataclass(frozen=True, slots=True)
class Node:
    """A field that is an earlier node of one of these kinds, or None, or a list of such nodes."""

    kinds: Callable[[], tuple[type, ...]]
    is_optional: bool = False
    is_many: bool = False

    def write(self, value: Any, writer: Writer) -> Any:
        if self.is_many:
            return [writer.node(each) for each in value]
        return None if value is None else writer.node(value)

    def read(self, stored: Any, where: str, reader: Reader) -> Any:
        if self.is_many:
            if not isinstance(stored, list) or not stored:
                raise Refused(where, "is no list of nodes")
            return tuple(reader.made(each, where, self.kinds()) for each in stored)
        return None if stored is None and self.is_optional else reader.made(stored, where, self.kinds())


Fields = Mapping[str, Number | Numbers | Array | Node]


@dataclass
class Writer:
    """Collects nodes and arrays; an object that is met twice is one node, so that systems still share it when read."""

    declared: Mapping[type, Fields]
    nodes: list[dict[str, Any]] = field(default_factory=list)
    arrays: dict[str, npt.NDArray[Any]] = field(default_factory=dict)
    _positions: dict[int, int] = field(default_factory=dict)

    def node(self, value: Any) -> int:
        """Add an object, after what it is made of, and return its position."""
        fields = self.declared.get(type(value))
        if fields is None:
            raise PredictionAssetsError(
                f"{type(value).__qualname__} can't be stored in a model; declare its fields in MEANS of "
                "prediction_assets/nba/forecasting/model_document.py"
            )
        if id(value) not in self._positions:
            written = {name: spec.write(getattr(value, name), self) for name, spec in fields.items()}
            self._positions[id(value)] = len(self.nodes)
            self.nodes.append({"kind": type(value).__name__, "fields": written})
        return self._positions[id(value)]

    def array(self, array: npt.NDArray[Any]) -> str:
        name = f"a{len(self.arrays)}"
        self.arrays[name] = array
        return name

    @property
    def described(self) -> dict[str, Any]:
        """Each array's type and shape."""
        return {name: {"dtype": a.dtype.str, "shape": list(a.shape)} for name, a in self.arrays.items()}

    def npz(self) -> str:
        """Return the arrays as base64 of a compressed ``npz`` file."""
        file = io.BytesIO()
        np.savez_compressed(file, **cast("dict[str, Any]", self.arrays))
        return base64.b64encode(file.getvalue()).decode("ascii")


@dataclass
class Reader:
    """The arrays of a document, and the nodes that are made so far."""

    arrays: Mapping[str, npt.NDArray[Any]]
    nodes: list[Any] = field(default_factory=list)

    def array(self, name: Any, where: str) -> npt.NDArray[Any]:
        if not isinstance(name, str) or name not in self.arrays:
            raise Refused(where, "names no array")
        return self.arrays[name]

    def made(self, position: Any, where: str, kinds: tuple[type, ...]) -> Any:
        """Return an earlier node, which must be of one of these kinds."""
        if type(position) is not int or not 0 <= position < len(self.nodes):
            raise Refused(where, "names no earlier node")
        if type(self.nodes[position]) not in kinds:
            raise Refused(where, f"names no {' or '.join(kind.__name__ for kind in kinds)}")
        return self.nodes[position]


def read_arrays(described: Mapping[str, Any], npz: str) -> dict[str, npt.NDArray[Any]]:
    """Return the described arrays, read from the file's members.

    ``numpy.load`` isn't used: it allocates what a member's header says before it reads the member. The header is known
    from the description, so it is compared and not parsed, and no more bytes are unpacked than the description needs.
    """
    headers = {name: _header(array, f"arrays.{name}") for name, array in described.items()}
    if sum(size for _, size, _ in headers.values()) > MOST_BYTES:
        raise Refused("arrays", f"need more than {MOST_BYTES:,} bytes")
    found = {}
    try:
        with zipfile.ZipFile(io.BytesIO(base64.b64decode(npz, validate=True))) as file:
            if sorted(file.namelist()) != sorted(f"{name}.npy" for name in described):
                raise Refused("npz", "doesn't have the described arrays")
            if any(info.compress_type not in _COMPRESSIONS for info in file.infolist()):
                raise Refused("npz", "is compressed in another way than numpy does")
            for name, (header, size, shape) in headers.items():
                with file.open(f"{name}.npy") as member:
                    content = member.read(len(header) + size + 1)
                if len(content) != len(header) + size or not content.startswith(header):
                    raise Refused(f"arrays.{name}", "isn't what the description says")
                flat = np.frombuffer(content, dtype=described[name]["dtype"], offset=len(header))
                found[name] = flat.reshape(shape)
    except _DAMAGED as error:
        raise Refused("npz", f"can't be read ({' '.join(str(error).split())})") from error
    return found


def _header(array: Any, where: str) -> tuple[bytes, int, tuple[int, ...]]:
    """Return how a described array's member must begin, its bytes after that, and its shape."""
    if not isinstance(array, dict) or array.keys() != {"dtype", "shape"}:
        raise Refused(where, "doesn't have the fields dtype, shape")
    dtype, shape = array["dtype"], array["shape"]
    if dtype not in ("<i2", "<f4", "<f8", "|b1"):
        raise Refused(f"{where}.dtype", "is no type of a model's arrays")
    if not isinstance(shape, list) or not 1 <= len(shape) <= 2:
        raise Refused(f"{where}.shape", "is no list of one or two lengths")
    if not all(type(length) is int and 0 < length <= MOST_BYTES for length in shape):
        raise Refused(f"{where}.shape", f"has a length that isn't from 1 to {MOST_BYTES:,}")
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        file, {"descr": dtype, "fortran_order": False, "shape": tuple(shape)}
    )
    return file.getvalue(), math.prod(shape) * np.dtype(dtype).itemsize, tuple(shape)
