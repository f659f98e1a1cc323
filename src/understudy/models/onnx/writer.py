"""One person's part of a network as an ONNX file.

Two kinds, in both of which the number N of pictures is free:

`onnx`: the network as it is.

    face (N, 3, S, S)      RGB 0..1, the core crop (`faces.align`)
    image (N, 3, S, S)     RGB 0..1, the person
    mask (N, 1, S, S)      0..1, where the person's face is
    below (N, 1, S, S)     0..1, where the face below shows

`dfm`: what DeepFaceLive, facefusion and their like read, by position and by name.

    in_face:0 (N, W, W, 3)                BGR 0..1, the whole-face crop (`whole_face`)
    out_face_mask:0 (N, W, W, 1)          below, 0 outside of the core crop
    out_celeb_face:0 (N, W, W, 3)         the person, BGR 0..1
    out_celeb_face_mask:0 (N, W, W, 1)    mask, 0 outside of the core crop

The mask of the face below comes out of the decoder of the person who is to be replaced, if one
was named; otherwise it is the drawn person's own mask again, which changes nothing where tools
take the lesser of the two.

torch's exporter writes operator set 18 or newer; DeepFaceLive's ONNX Runtime may be old, and
`onnx.version_converter` knows no way down from there. Our networks need a handful of operators
whose meaning for float32 has not changed since set 12. So the older set is stated, attributes
that say a newer default are dropped, and constants that were attributes then become attributes
again; whatever else turns up is refused.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from understudy.errors import SettingsError
from understudy.models.base import SwapModel
from understudy.models.onnx.card import KEY, Card, Kind
from understudy.models.onnx.libraries import library
from understudy.models.onnx.whole_face import window
from understudy.runtime import files

OPSET = 12
IR_VERSION = 7
"""Version of the file format that was current with operator set 12."""

INPUTS: dict[Kind, str] = {"onnx": "face", "dfm": "in_face:0"}
OUTPUTS: dict[Kind, tuple[str, str, str]] = {
    "onnx": ("image", "mask", "below"),
    "dfm": ("out_face_mask:0", "out_celeb_face:0", "out_celeb_face_mask:0"),
}

UNCHANGED = frozenset(
    {"Add", "Clip", "Concat", "Conv", "DepthToSpace", "Div", "Exp", "Expand", "Flatten", "Gather"}
    | {"Gemm", "Identity", "LeakyRelu", "MatMul", "MaxPool", "Min", "Mul", "Neg", "Pad", "Relu"}
    | {"Reshape", "Shape", "Sigmoid", "Slice", "SpaceToDepth", "Sqrt", "Sub", "Tanh", "Transpose"}
)
"""Operators that mean the same for float32 in set 12 as in the exporter's."""

MOVED = {
    "ReduceMean": "axes",
    "ReduceSum": "axes",
    "Split": "split",
    "Squeeze": "axes",
    "Unsqueeze": "axes",
}
"""Operators whose second input was an attribute in set 12, and its name."""

NEWER = {
    ("Reshape", "allowzero"): (0, 1),
    ("Shape", "start"): (0,),
    ("ReduceMean", "noop_with_empty_axes"): (0,),
    ("ReduceSum", "noop_with_empty_axes"): (0,),
}
"""Attributes newer than set 12, with the values that say nothing here: no side of any tensor of
ours is 0."""


class Drawing(nn.Module):
    """Core crops (N, 3, S, S) -> image, mask, and mask of the face below."""

    def __init__(self, model: SwapModel, person: str, replaced: str | None) -> None:
        super().__init__()
        self.model, self.person, self.replaced = model, person, replaced

    def forward(self, face: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        latent = self.model.encode(face)
        image, mask = self.model.decode(latent, self.person)
        below = mask if self.replaced is None else self.model.decode(latent, self.replaced)[1]
        return image, mask, below


class WholeFace(nn.Module):
    """The same between whole-face crops, as DFM has them."""

    def __init__(self, drawing: Drawing) -> None:
        super().__init__()
        self.drawing = drawing
        self.window = window(drawing.model.size)

    def forward(self, face: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        where, size = self.window, self.window.size
        before, after = (
            (-where.x, -where.y),
            (
                where.x + size - where.side,
                where.y + size - where.side,
            ),
        )
        pads = (before[0], after[0], before[1], after[1])
        outside = tuple(max(0, pad) for pad in pads)
        inside = tuple(min(0, pad) for pad in pads)
        rgb = functional.pad(face.permute(0, 3, 1, 2).flip(1), inside)
        image, mask, below = self.drawing(functional.pad(rgb, outside, mode="replicate"))
        back = tuple(-pad for pad in pads)
        shrink, grow = tuple(min(0, pad) for pad in back), tuple(max(0, pad) for pad in back)
        image = functional.pad(functional.pad(image, shrink), grow, mode="replicate")
        mask, below = (functional.pad(one, back) for one in (mask, below))
        return (
            below.permute(0, 2, 3, 1),
            image.flip(1).permute(0, 2, 3, 1),
            mask.permute(0, 2, 3, 1),
        )


def module(model: SwapModel, person: str, replaced: str | None, kind: Kind) -> nn.Module:
    """What is exported, as a module of torch.

    Raises:
        SettingsError: the network has no decoder for `person` or `replaced`.
    """
    for name in (person, *([replaced] if replaced else [])):
        model.decoder(name)
    drawing = Drawing(model.eval(), person, replaced)
    return (drawing if kind == "onnx" else WholeFace(drawing)).eval()


def example(model: SwapModel, kind: Kind, count: int = 2) -> Tensor:
    """Pictures shaped as the exported network takes them, grey."""
    if kind == "onnx":
        return torch.full((count, 3, model.size, model.size), 0.5)
    side = window(model.size).side
    return torch.full((count, side, side, 3), 0.5)


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the exporter's remarks about libraries that it could know and does not need."""
    log = logging.getLogger("torch.onnx")
    before = log.level
    log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        log.setLevel(before)


def graph(model: SwapModel, person: str, replaced: str | None, kind: Kind) -> Any:
    """The network as an `onnx.ModelProto`.

    Raises:
        SettingsError: no such decoder, a library is missing, or the network has operators that
            cannot be written.
    """
    onnx = library("onnx")
    library("onnxscript")
    whole = module(model, person, replaced, kind)
    with _quiet(), torch.no_grad():
        program = torch.onnx.export(
            whole,
            (example(model, kind),),
            input_names=[INPUTS[kind]],
            output_names=list(OUTPUTS[kind]),
            dynamic_shapes={"face": {0: torch.export.Dim("N")}},
            dynamo=True,
            verbose=False,
        )
    assert program is not None
    proto = program.model_proto
    _lower(proto)
    onnx.checker.check_model(proto, full_check=True)
    return proto


def _lower(proto: Any) -> None:
    """State the older operator set, where nothing is lost by it. Raises SettingsError."""
    onnx = library("onnx")
    constants = {tensor.name: tensor for tensor in proto.graph.initializer}
    for node in proto.graph.node:
        moved = MOVED.get(node.op_type)
        constant = constants.get(node.input[1]) if moved and len(node.input) == 2 else None
        if node.domain or (node.op_type not in UNCHANGED and constant is None):
            raise SettingsError(
                f"This network needs the operator {node.op_type}, which may be missing in operator "
                f"set {OPSET}.",
                "Export from a model with another network.",
            )
        kept = [
            attribute
            for attribute in node.attribute
            if attribute.i not in NEWER.get((node.op_type, attribute.name), ())
        ]
        if constant is not None:
            numbers = onnx.numpy_helper.to_array(constant).tolist()
            kept.append(onnx.helper.make_attribute(moved, numbers))
            del node.input[1:]
        kept = [onnx.AttributeProto.FromString(part.SerializeToString()) for part in kept]
        del node.attribute[:]
        node.attribute.extend(kept)
        del node.metadata_props[:]
        node.doc_string = ""
    del proto.functions[:], proto.opset_import[1:], proto.graph.metadata_props[:]
    del proto.graph.value_info[:]
    proto.opset_import[0].domain = ""
    proto.opset_import[0].version = OPSET
    proto.ir_version = IR_VERSION


def write(path: Path, proto: Any, card: Card) -> None:
    """Write the network with its card, whole or not at all. Raises StorageError."""
    del proto.metadata_props[:]
    proto.metadata_props.add(key=KEY, value=card.model_dump_json())
    proto.producer_name, proto.producer_version = "understudy", card.understudy
    proto.doc_string = (
        f"Draws the face of {card.person} (synthetic media). Use it only with their consent."
    )
    files.write_bytes(path, proto.SerializeToString())
