from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch

from tests.support.tiny_network import Tiny
from understudy.errors import MediaError, SettingsError
from understudy.faces.align import core_alignment
from understudy.faces.pose import reference
from understudy.models.base import SwapModel, network_class
from understudy.models.onnx import whole_face, writer
from understudy.models.onnx.card import KEY, Card, Kind
from understudy.models.onnx.runner import Exported
from understudy.models.onnx.safety import check
from understudy.types import Floats, Image

SIZE = 64


def card(kind: Kind, person: str = "ada") -> Card:
    return Card(
        understudy="0.1.0",
        exported_at=datetime(2026, 1, 1, tzinfo=UTC),
        kind=kind,
        person=person,
        replaced="ben",
        model="duo",
        network="swift",
        weights_sha256="0" * 64,
        size=SIZE,
        learned=True,
        consents={},
    )


@pytest.fixture(scope="module")
def model() -> SwapModel:
    torch.manual_seed(1)
    return Tiny(SIZE, ("ada", "ben")).eval().requires_grad_(False)


@pytest.fixture(scope="module")
def protos(model: SwapModel) -> dict[Kind, Any]:
    kinds: tuple[Kind, ...] = ("onnx", "dfm")
    return {kind: writer.graph(model, "ada", "ben", kind) for kind in kinds}


@pytest.fixture(scope="module")
def written(protos: dict[Kind, Any], tmp_path_factory: pytest.TempPathFactory) -> dict[Kind, Path]:
    folder = tmp_path_factory.mktemp("exported")
    found = {}
    for kind, proto in protos.items():
        found[kind] = folder / f"ada.{kind}"
        writer.write(found[kind], proto, card(kind))
    return found


def pictures(count: int, side: int) -> list[Image]:
    return list(np.random.default_rng(3).integers(0, 256, (count, side, side, 3)).astype(np.uint8))


def drawn(model: SwapModel, crops: list[Image]) -> tuple[Floats, Floats, Floats]:
    """What torch makes of core crops: image, mask, mask below."""
    images = torch.from_numpy(np.stack(crops)).permute(0, 3, 1, 2).float() / 255
    latent = model.encode(images)
    image, mask = model.decode(latent, "ada")
    below = model.decode(latent, "ben")[1]
    return image.permute(0, 2, 3, 1).numpy(), mask[:, 0].numpy(), below[:, 0].numpy()


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.slow
def test_onnx_draws_what_torch_draws(
    written: dict[Kind, Path], model: SwapModel, count: int
) -> None:
    crops = pictures(count, SIZE)
    for one, other in zip(Exported(written["onnx"]).draw(crops), drawn(model, crops), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)


@pytest.mark.parametrize("count", [1, 3])
def test_dfm_draws_the_same_within_its_larger_crop(
    written: dict[Kind, Path], model: SwapModel, count: int
) -> None:
    where = whole_face.window(SIZE)
    inside = where.side - where.y
    assert where.x + SIZE <= where.side
    assert inside < SIZE  # the core reaches out of the crop below
    wide = pictures(count, where.side)
    cores = [
        np.pad(crop, ((0, SIZE), (0, 0), (0, 0)), mode="edge")[
            where.y : where.y + SIZE, where.x : where.x + SIZE
        ]
        for crop in wide
    ]
    image, mask, below = Exported(written["dfm"]).draw(wide)
    expected = drawn(model, cores)
    here = (slice(None), slice(where.y, None), slice(where.x, where.x + SIZE))
    for one, other in zip((image, mask, below), expected, strict=True):
        np.testing.assert_allclose(one[here], other[:, :inside], atol=1e-5)
    for plane in (mask, below):
        plane[here] = 0
        assert not plane.any()


def test_dfm_is_as_its_readers_want_it(written: dict[Kind, Path]) -> None:
    proto = onnx.load(str(written["dfm"]), load_external_data=False)
    side = whole_face.window(SIZE).side
    assert [(entry.domain, entry.version) for entry in proto.opset_import] == [("", 12)]
    shapes = {
        value.name: [dim.dim_param or dim.dim_value for dim in value.type.tensor_type.shape.dim]
        for value in (*proto.graph.input, *proto.graph.output)
    }
    assert list(shapes.items()) == [
        ("in_face:0", ["N", side, side, 3]),
        ("out_face_mask:0", ["N", side, side, 1]),
        ("out_celeb_face:0", ["N", side, side, 3]),
        ("out_celeb_face_mask:0", ["N", side, side, 1]),
    ]
    assert {value.type.tensor_type.elem_type for value in proto.graph.input} == {1}


def test_dfm_takes_and_gives_bgr(written: dict[Kind, Path]) -> None:
    exported = Exported(written["dfm"])
    crops = pictures(1, exported.side)
    blue_first = np.stack(crops)[..., ::-1].astype(np.float32) / 255
    _, image, _ = exported.graph(np.ascontiguousarray(blue_first))
    np.testing.assert_allclose(image[..., ::-1], exported.draw(crops)[0], atol=1e-6)


@pytest.mark.parametrize(("network", "size"), [("swift", 96), ("original", 64)])
@pytest.mark.slow
def test_real_networks_can_be_written(
    network: str, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    if network == "original":
        from understudy.models import original

        monkeypatch.setattr(original, "WIDTHS", (8, 16, 16, 32))
    model = network_class(network)(size, ("ada", "ben")).eval().requires_grad_(False)
    proto = writer.graph(model, "ada", None, "dfm")
    assert proto.opset_import[0].version == 12


def test_card_comes_back(written: dict[Kind, Path]) -> None:
    for kind, path in written.items():
        assert Exported(path).contract.card == card(kind)


def test_window_lies_where_the_five_points_do() -> None:
    head = reference().points * 100 + 500
    where = whole_face.window(256)
    ours = whole_face.from_core(head, where)
    theirs = whole_face.alignment(head, where.side)
    corners = np.array([[400.0, 400.0, 1], [600, 400, 1], [500, 620, 1]])
    assert np.abs(corners @ ours.T - corners @ theirs.T).max() < 0.02 * where.side
    np.testing.assert_allclose(ours[:, 2] - core_alignment(head, 256)[:, 2], (where.x, where.y))


def test_foreign_dfm_is_given_the_whole_face(protos: dict[Kind, Any], tmp_path: Path) -> None:
    proto = copied(protos["dfm"])
    path = saved(proto, tmp_path)
    exported = Exported(path)
    assert exported.contract.card is None
    head = reference().points * 30 + 200
    np.testing.assert_array_equal(
        exported.alignment(head), whole_face.alignment(head, exported.side)
    )


def copied(proto: Any) -> Any:
    result = onnx.ModelProto()
    result.CopyFrom(proto)
    del result.metadata_props[:]
    return result


def saved(proto: Any, folder: Path) -> Path:
    path = folder / "strange.dfm"
    path.write_bytes(proto.SerializeToString())
    return path


def _swapped(proto: Any) -> None:
    outputs = [onnx.ValueInfoProto.FromString(o.SerializeToString()) for o in proto.graph.output]
    del proto.graph.output[:]
    proto.graph.output.extend([outputs[1], outputs[0], outputs[2]])


def _masks_swapped(proto: Any) -> None:
    _swapped(proto)
    outputs = [onnx.ValueInfoProto.FromString(o.SerializeToString()) for o in proto.graph.output]
    del proto.graph.output[:]
    proto.graph.output.extend([outputs[2], outputs[0], outputs[1]])


def _swapped_in_secret(proto: Any) -> None:
    """The order is wrong, and neither names nor shapes say so."""
    _swapped(proto)
    for place, value in enumerate(proto.graph.output):
        for node in proto.graph.node:
            node.output[:] = [
                f"secret{place}" if name == value.name else name for name in node.output
            ]
            node.input[:] = [f"secret{place}" if n == value.name else n for n in node.input]
        value.name = f"secret{place}"
        for side in value.type.tensor_type.shape.dim:
            side.dim_param = "?"


def _external(proto: Any) -> None:
    tensor = proto.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = 1
    tensor.external_data.add(key="location", value="/etc/passwd")


def _external_constant(proto: Any) -> None:
    node = proto.graph.node.add(op_type="Constant", output=["hidden"])
    part = node.attribute.add(name="value", type=4)
    part.t.data_type, part.t.data_location = 1, 1
    part.t.external_data.add(key="location", value="../../secret")


def _custom(proto: Any) -> None:
    proto.graph.node[0].domain = "com.example"
    proto.opset_import.add(domain="com.example", version=1)


def _function(proto: Any) -> None:
    proto.functions.add(name="f", domain="")


def _loop(proto: Any) -> None:
    node = proto.graph.node.add(op_type="Loop", output=["hidden"])
    node.attribute.add(name="body", type=5).g.name = "body"


def _half(proto: Any) -> None:
    proto.graph.input[0].type.tensor_type.elem_type = 10


def _oblong(proto: Any) -> None:
    proto.graph.input[0].type.tensor_type.shape.dim[1].dim_value += 2


def _free_side(proto: Any) -> None:
    for place in (1, 2):
        proto.graph.input[0].type.tensor_type.shape.dim[place].dim_param = "side"


def _planes_first(proto: Any) -> None:
    sides = proto.graph.input[0].type.tensor_type.shape.dim
    sides[1].dim_value, sides[3].dim_value = 3, sides[1].dim_value


def _other_input(proto: Any) -> None:
    proto.graph.input[0].name = "face"


def _no_opset(proto: Any) -> None:
    del proto.opset_import[:]


def _future_opset(proto: Any) -> None:
    proto.opset_import[0].version = 999


def _two_outputs(proto: Any) -> None:
    del proto.graph.output[2]


def _many_nodes(proto: Any) -> None:
    for number in range(20_001):
        proto.graph.node.add(op_type="Relu", input=["in_face:0"], output=[f"x{number}"])


def _dangling(proto: Any) -> None:
    proto.graph.node[3].input[0] = "nothing"


def _bad_card(proto: Any) -> None:
    proto.metadata_props.add(key=KEY, value='{"person": 7}')


def _long_card(proto: Any) -> None:
    proto.metadata_props.add(key=KEY, value="x" * 100_000)


def _lying_card(proto: Any) -> None:
    other = card("dfm").model_copy(update={"size": 256})
    proto.metadata_props.add(key=KEY, value=other.model_dump_json())


def _wrong_kind(proto: Any) -> None:
    proto.metadata_props.add(key=KEY, value=card("onnx").model_dump_json())


HARM: dict[str, tuple[Callable[[Any], None], str]] = {
    "face before its mask": (_swapped, "in this order"),
    "masks exchanged": (_masks_swapped, "in this order"),
    "order hidden": (_swapped_in_secret, "in this order"),
    "external data": (_external, "another file .*etc/passwd"),
    "external data in a constant": (_external_constant, "another file .*secret"),
    "custom operator": (_custom, "not an operator of ONNX"),
    "function": (_function, "functions"),
    "loop": (_loop, "control flow"),
    "half precision": (_half, "float32"),
    "oblong": (_oblong, "square"),
    "no size": (_free_side, "square"),
    "planes first": (_planes_first, "square"),
    "input of another name": (_other_input, "does not name the person"),
    "no operator set": (_no_opset, "operator set"),
    "operator set of the future": (_future_opset, "operator set is 999"),
    "two outputs": (_two_outputs, "in this order"),
    "very many operations": (_many_nodes, "more than 20000"),
    "damaged graph": (_dangling, "damaged"),
    "card of other types": (_bad_card, "The description inside .* is damaged"),
    "card too long": (_long_card, "too long"),
    "card of another size": (_lying_card, "contradicts its description"),
    "card of another kind": (_wrong_kind, "claims to be onnx"),
}


@pytest.mark.parametrize("what", HARM)
def test_harm_is_refused(protos: dict[Kind, Any], tmp_path: Path, what: str) -> None:
    harm, why = HARM[what]
    proto = copied(protos["dfm"])
    harm(proto)
    with pytest.raises(MediaError, match=why) as caught:
        Exported(saved(proto, tmp_path))
    assert caught.value.remedy
    assert len(str(caught.value)) < 600


def test_files_that_are_no_models_are_refused(written: dict[Kind, Path], tmp_path: Path) -> None:
    whole = written["dfm"].read_bytes()
    for name, data in {
        "empty": b"",
        "text": b"not a model at all",
        "half": whole[: len(whole) // 2],
        "zeros": bytes(4096),
    }.items():
        path = tmp_path / f"{name}.dfm"
        path.write_bytes(data)
        with pytest.raises(MediaError, match=path.name):
            check(path)
    with pytest.raises(MediaError, match="cannot be read"):
        check(tmp_path / "absent.dfm")


def test_morph_value_is_given(protos: dict[Kind, Any], tmp_path: Path) -> None:
    proto = copied(protos["dfm"])
    morph = onnx.helper.make_tensor_value_info("morph_value:0", 1, [1])
    proto.graph.input.append(morph)
    for node in proto.graph.node:
        node.output[:] = ["plain" if n == "out_celeb_face:0" else n for n in node.output]
    proto.graph.node.append(
        onnx.helper.make_node("Mul", ["plain", "morph_value:0"], ["out_celeb_face:0"])
    )
    exported = Exported(saved(proto, tmp_path))
    crops = pictures(1, exported.side)
    plain = Exported(saved(copied(protos["dfm"]), tmp_path)).draw(crops)[0]
    np.testing.assert_allclose(exported.draw(crops)[0], 0.75 * plain, atol=1e-6)


def test_a_fixed_number_of_pictures_is_filled_up(protos: dict[Kind, Any], tmp_path: Path) -> None:
    proto = copied(protos["dfm"])
    for value in (*proto.graph.input, *proto.graph.output):
        value.type.tensor_type.shape.dim[0].dim_value = 2
    fixed, free = Exported(saved(proto, tmp_path)), Exported(saved(copied(protos["dfm"]), tmp_path))
    assert fixed.contract.batch == 2
    crops = pictures(3, fixed.side)
    for one, other in zip(fixed.draw(crops), free.draw(crops), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)


def test_unknown_operators_are_not_written(model: SwapModel) -> None:
    class Strange(Tiny):
        def decode(self, latent: torch.Tensor, person: str) -> tuple[torch.Tensor, torch.Tensor]:
            image, mask = super().decode(latent, person)
            return torch.nn.functional.gelu(image), mask

    strange = Strange(SIZE, ("ada", "ben")).eval().requires_grad_(False)
    with pytest.raises(SettingsError, match="needs the operator Gelu"):
        writer.graph(strange, "ada", None, "onnx")
