"""Whether an ONNX file may be run: it is looked at before ONNX Runtime sees it.

What is refused: files that take data from other files (a model could name any path), operators
and functions that are not ONNX's own, control flow (a face needs none, and it may never end),
files, weights or graphs larger than any face model is. And what is no face model: inputs and
outputs are held against the two kinds that `writer` describes, by position, shape and type.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from understudy.errors import MediaError
from understudy.models.onnx import card as cards
from understudy.models.onnx.card import Card, Kind
from understudy.models.onnx.libraries import library
from understudy.models.onnx.whole_face import window
from understudy.models.onnx.writer import INPUTS, OUTPUTS

LARGEST = (2 << 30) - 1
"""Largest file in bytes: the limit of the format."""

NODES = 20_000
SIDES = (32, 1024)
"""Smallest and largest side of the pictures in pixels."""

OPSETS = (7, 24)
CONTROL = frozenset({"If", "Loop", "Scan", "SequenceMap"})
MORPH = "morph_value:0"
"""Second input of some DFM files: how much of the face is the other person's, 0..1."""

DFM_CHANNELS = (1, 3, 1)


@dataclass(frozen=True)
class Contract:
    """What a file that may be run takes and gives.

    Attributes:
        side: of its pictures in pixels.
        batch: pictures that it takes at once; None when that is free.
        morph: whether it has the second input.
        card: what it says of itself; None for files from elsewhere.
    """

    kind: Kind
    side: int
    batch: int | None
    morph: bool
    card: Card | None


def _refused(name: str, why: str) -> MediaError:
    return MediaError(
        f"{name} was rejected: {why}.",
        "Use a DFM file from an origin that you trust, or export one: understudy export PERSON.",
    )


def check(path: Path) -> tuple[bytes, Contract]:
    """The bytes of a file that may be run, and what they are.

    Raises:
        MediaError: it cannot be read, is not a face model, or must not be run; says why.
        SettingsError: the library onnx is missing.
    """
    onnx = library("onnx")
    name = path.name
    try:
        length = path.stat().st_size
        if not 0 < length <= LARGEST:
            raise _refused(name, "it is empty" if not length else f"it is larger than {LARGEST} B")
        data = path.read_bytes()
    except OSError as error:
        raise MediaError(
            f"{path} cannot be read ({error.strerror}).", "Check the name and the permissions."
        ) from error
    from google.protobuf.message import DecodeError

    try:
        # Not onnx.load, which would go and read the other files that a model names.
        proto = onnx.ModelProto.FromString(data)
    except DecodeError as error:
        raise _refused(name, f"it is not an ONNX file, or it is cut short ({error})") from error
    _harmless(proto, name)
    contract = _contract(proto, name)
    try:
        onnx.checker.check_model(proto)
    except (onnx.checker.ValidationError, ValueError) as error:
        raise _refused(name, f"it is damaged ({str(error).strip().splitlines()[0]})") from error
    return data, contract


def _harmless(proto: Any, name: str) -> None:
    graph = proto.graph
    if proto.functions or proto.training_info:
        raise _refused(name, "it contains its own functions or training steps")
    if len(graph.node) > NODES:
        raise _refused(name, f"it has {len(graph.node)} operations, more than {NODES}")
    sets = {entry.domain: entry.version for entry in proto.opset_import}
    opset = max(sets.get("", 0), sets.get("ai.onnx", 0))
    if not OPSETS[0] <= opset <= OPSETS[1]:
        raise _refused(
            name, f"its operator set is {opset or 'not stated'}, not {OPSETS[0]} to {OPSETS[1]}"
        )
    for node in graph.node:
        if node.domain not in ("", "ai.onnx"):
            raise _refused(name, f"{node.op_type} of {node.domain} is not an operator of ONNX")
        inner = any(part.HasField("g") or part.graphs for part in node.attribute)
        if node.op_type in CONTROL or inner:
            raise _refused(name, f"it has control flow ({node.op_type})")
    for tensor in _tensors(graph):
        if tensor.external_data or tensor.data_location != 0:
            named = next((e.value for e in tensor.external_data if e.key == "location"), "")
            raise _refused(name, f"it reads data from another file ({named[:80] or 'unnamed'})")


def _tensors(graph: Any) -> Iterator[Any]:
    """Every tensor that is stored in a graph without inner graphs."""
    yield from graph.initializer
    for sparse in graph.sparse_initializer:
        yield from (sparse.values, sparse.indices)
    for node in graph.node:
        for part in node.attribute:
            yield from (part.t, *part.tensors)
            for sparse in (part.sparse_tensor, *part.sparse_tensors):
                yield from (sparse.values, sparse.indices)


def _shape(value: Any) -> list[int | None]:
    """Sides of an input or output; None where they are free."""
    return [
        side.dim_value if side.HasField("dim_value") and side.dim_value > 0 else None
        for side in value.type.tensor_type.shape.dim
    ]


def _tell(value: Any) -> str:
    return f"`{value.name}` {'x'.join(str(side or 'N') for side in _shape(value))}"


def _contract(proto: Any, name: str) -> Contract:
    """What the graph takes and gives. Raises MediaError."""
    graph = proto.graph
    stored = {tensor.name for tensor in graph.initializer}
    inputs = [value for value in graph.input if value.name not in stored]
    outputs = list(graph.output)
    texts = [entry.value for entry in proto.metadata_props if entry.key == cards.KEY]
    card = cards.read(texts[0], name) if texts else None
    names = [value.name for value in inputs]
    kind: Kind = "onnx" if names == [INPUTS["onnx"]] else "dfm"
    if kind == "onnx" and card is None:
        raise _refused(name, "it does not name the person it draws, or the crop it needs")
    if kind == "dfm" and names not in ([INPUTS["dfm"]], [INPUTS["dfm"], MORPH]):
        given = ", ".join(map(_tell, inputs)) or "none"
        raise _refused(name, f"its inputs are {given}, but those of a DFM are `{INPUTS['dfm']}`")
    if card is not None and card.kind != kind:
        raise _refused(name, f"it claims to be {card.kind} but is not")
    for value in (*inputs, *outputs):
        if value.type.tensor_type.elem_type != 1:
            raise _refused(name, f"`{value.name}` is not of type float32")
    shape = _shape(inputs[0])
    side = shape[2] if len(shape) == 4 else None
    square = [side, side, 3] if kind == "dfm" else [3, side, side]
    if side is None or shape[1:] != square or not SIDES[0] <= side <= SIDES[1]:
        raise _refused(
            name,
            f"its input is {_tell(inputs[0])} instead of square colour pictures of {SIDES[0]} to "
            f"{SIDES[1]} pixels",
        )
    _outputs(outputs, kind, side, name)
    if card is not None and side != (card.size if kind == "onnx" else window(card.size).side):
        raise _refused(name, f"its image size of {side} pixels contradicts its description")
    return Contract(kind, side, shape[0], len(inputs) == 2, card)


def _outputs(outputs: list[Any], kind: Kind, side: int, name: str) -> None:
    """Hold the outputs against the contract. Raises MediaError."""
    if kind == "onnx":
        if [value.name for value in outputs] != list(OUTPUTS["onnx"]):
            raise _refused(name, f"its outputs are {', '.join(map(_tell, outputs)) or 'none'}")
        return
    shapes = [_shape(value) for value in outputs]
    channels = [shape[3] if len(shape) == 4 else None for shape in shapes]
    fitting = len(channels) == 3 and all(
        given in (None, due) for given, due in zip(channels, DFM_CHANNELS, strict=True)
    )
    names, known = [value.name for value in outputs], list(OUTPUTS["dfm"])
    if not fitting or (set(names) == set(known) and names != known):
        raise _refused(
            name,
            f"its outputs are {', '.join(map(_tell, outputs)) or 'none'}; a DFM has, in this "
            "order, the face's mask (1 channel), the drawn face (3) and its mask (1)",
        )
    for value, shape in zip(outputs, shapes, strict=True):
        if any(given not in (None, side) for given in shape[1:3]):
            raise _refused(name, f"its output is {_tell(value)} for pictures of {side} pixels")
