"""The identity network: reading dlib's file, its numbers, the chips, and telling people apart."""

from __future__ import annotations

import contextlib
import struct
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

from understudy.errors import WeightsError
from understudy.faces.align import transform_points
from understudy.faces.detect import Detector
from understudy.faces.dlib_format import LEVELS, SIDE, read_dlib
from understudy.faces.identity import CHIP_POINTS, IdentityNet, chip_alignment, face_chips
from understudy.faces.mesh import Mesh
from understudy.faces.pose import reference
from understudy.faces.weights import store
from understudy.types import Floats, Image

MEAN = (122.75, 117.0, 104.25)

# What dlib 20.0.1 answers to `drawn_face()`, computed once with dlib itself:
# face_recognition_model_v1(FILE).compute_face_descriptor(drawn_face())
BY_DLIB = """
-0.115198 0.044528 0.081829 -0.091341 -0.136144 -0.021037 -0.070425 -0.029896 0.136796 -0.139614
0.218079 -0.040875 -0.235529 -0.004959 -0.04728 0.242059 -0.135021 -0.080799 -0.090963 -0.084388
-0.012831 0.036031 -0.009086 0.071574 -0.08104 -0.252251 -0.044909 -0.1052 -0.015823 -0.059777
0.055092 0.109602 -0.143352 0.006905 -0.023553 0.05503 -0.050111 -0.102963 0.14069 -0.04059
-0.202302 -0.063023 0.035114 0.24916 0.146473 -0.022617 0.068496 -0.054207 0.030244 -0.275908
-0.00427 0.063614 0.069426 0.066281 0.03293 -0.159375 0.056264 0.095718 -0.138126 -0.011705
0.029589 -0.027895 -0.058514 -0.113863 0.313828 0.091042 -0.161744 -0.142494 0.187796 -0.121191
-0.073593 0.100741 -0.126286 -0.151698 -0.265779 0.038999 0.379656 0.117088 -0.148571 0.046747
-0.092327 -0.052453 -0.050617 0.123149 -0.019518 -0.024885 -0.018414 0.024664 0.189702 -0.102296
0.012767 0.215814 0.045931 -0.081912 -0.058497 0.026103 -0.043241 0.039207 -0.058284 0.002911
0.078314 -0.070659 -0.006511 0.099313 -0.212072 0.206778 -0.017814 -0.012849 0.055325 0.060646
-0.099246 -0.051431 0.200683 -0.219365 0.140983 0.185037 0.094007 0.126173 0.072011 0.140911
0.002665 -0.013411 -0.188809 -0.071357 0.090035 -0.083571 -0.015093 0.084039
"""


def drawn_face() -> Image:
    """Something like a face, in whole numbers: the same on every machine."""
    y, x = np.mgrid[:150, :150].astype(np.int64)
    head = np.clip(210 - ((x - 75) ** 2 + ((y - 70) * 3 // 4) ** 2) // 40, 30, 255)
    left = np.maximum(0, 120 - ((x - 48) ** 2 + 2 * (y - 58) ** 2))
    right = np.maximum(0, 120 - ((x - 102) ** 2 + 2 * (y - 58) ** 2))
    mouth = np.maximum(0, 300 - ((x - 75) ** 2 // 2 + 4 * (y - 112) ** 2)) // 2
    grey = head - left - right - mouth
    grain = (x * 7 + y * 13) % 11
    colours = np.stack([grey + grain, grey * 4 // 5 + grain, grey * 3 // 5 + grain], -1)
    face: Image = np.clip(colours, 0, 255).astype(np.uint8)
    return face


class Writer:
    """Writes the network's file as dlib would, with random parameters, and keeps those."""

    def __init__(self, seed: int) -> None:
        self.parts: list[bytes] = []
        self.random = np.random.default_rng(seed)
        self.convolutions: list[tuple[Floats, Floats]] = []
        self.affines: list[tuple[Floats, Floats]] = []
        self.integer(1)
        self.text("loss_metric_2")
        self.real(0.25, 0.5)
        self.integer(2, 1, 2, 2, 1, 3)
        self.text("input_rgb_image_sized")
        self.real(*MEAN)
        self.integer(SIDE, SIDE)
        self.convolution(32, 3, 7, 2)
        self.plain("relu_")
        self.plain("max_pool_2", 3, 3, 2, 2, 0, 0)
        channels = 32
        for out, halve, count in LEVELS:
            for down in [True] * halve + [False] * count:
                self.convolution(out, channels, 3, 2 if down else 1)
                self.plain("relu_")
                self.convolution(out, out, 3, 1)
                if down:
                    self.plain("avg_pool_2", 2, 2, 2, 2, 0, 0)
                self.plain("add_prev_")
                self.plain("relu_")
                channels = out
        self.plain("avg_pool_2", 0, 0, 1, 1, 0, 0)
        self.text("fc_2")
        self.integer(128, 256)
        self.head = self.tensor(256, 128)
        self.data = b"".join(self.parts)

    def integer(self, *values: int) -> None:
        for value in values:
            data = abs(value).to_bytes(8, "little").rstrip(b"\0") or b"\0"
            self.parts.append(bytes([len(data) | (0x80 if value < 0 else 0)]) + data)

    def real(self, *values: float) -> None:
        for value in values:
            self.integer(int(value * 256), -8)

    def text(self, value: str) -> None:
        self.integer(len(value))
        self.parts.append(value.encode())

    def tensor(self, n: int, k: int = 1, scale: float = 1.0) -> Floats:
        values = (self.random.standard_normal((n, k)) * scale).astype(np.float32)
        self.integer(2, n, k, 1, 1)
        self.parts.append(struct.pack(f"<{n * k}f", *values.ravel()))
        return values

    def end(self) -> None:
        self.parts.append(b"110")
        self.integer(*[2, 0, 0, 0, 0] * 3)

    def plain(self, name: str, *values: int) -> None:
        self.text(name)
        self.integer(*values)
        self.end()

    def convolution(self, out: int, channels: int, side: int, stride: int) -> None:
        fan = channels * side * side
        self.text("con_4")
        flat = self.tensor(out * (fan + 1), scale=fan**-0.5).ravel()
        padding = side // 2 if stride == 1 else 0
        self.integer(out, side, side, stride, stride, padding, padding)
        self.integer(1, out, channels, side, side, 1, 1, out, 1, 1)
        self.real(1, 1, 1, 0)
        self.end()
        if not self.convolutions:
            self.integer(1)
        self.convolutions.append((flat[:-out].reshape(out, channels, side, side), flat[-out:]))
        self.text("affine_")
        affine = self.tensor(2 * out).ravel()
        self.integer(1, 1, out, 1, 1, 1, 1, out, 1, 1, 0)
        self.end()
        self.affines.append((affine[:out], affine[out:]))

    def answer(self, chips: Image) -> Floats:
        """The network written out plainly: nothing folded, one layer after the other."""
        layers = iter(zip(self.convolutions, self.affines, strict=True))

        def convolve(x: Tensor, stride: int, padding: int) -> Tensor:
            (weight, bias), (gain, shift) = (map(torch.from_numpy, pair) for pair in next(layers))
            y = F.conv2d(x, weight, bias, stride, padding)
            return y * gain[:, None, None] + shift[:, None, None]

        x = torch.from_numpy(chips.astype(np.float32)).permute(0, 3, 1, 2)
        x = (x - torch.tensor(MEAN)[:, None, None]) / 256
        x = F.max_pool2d(convolve(x, 2, 0).relu(), 3, 2)
        for out, halve, count in LEVELS:
            for down in [True] * halve + [False] * count:
                y = convolve(x, 2, 0) if down else convolve(x, 1, 1)
                y = convolve(y.relu(), 1, 1)
                short = F.avg_pool2d(x, 2) if down else x
                side = max(short.shape[2], y.shape[2])
                total = torch.zeros(len(x), out, side, side)
                total[:, : short.shape[1], : short.shape[2], : short.shape[3]] += short
                total[:, :, : y.shape[2], : y.shape[3]] += y
                x = total.relu()
        return np.asarray(x.mean((2, 3)).numpy() @ self.head, np.float32)


@pytest.fixture(scope="module")
def written() -> Writer:
    return Writer(seed=1)


@pytest.fixture(scope="module")
def real_file() -> Path:
    try:
        return store.path("dlib_face_recognition_resnet_model_v1.dat")
    except WeightsError as error:
        pytest.skip(str(error))


def test_answers_what_the_layers_say(written: Writer, tmp_path: Path) -> None:
    file = tmp_path / "net.dat"
    file.write_bytes(written.data)
    noise = np.random.default_rng(0).integers(0, 256, (1, SIDE, SIDE, 3)).astype(np.uint8)
    chips = np.concatenate([drawn_face()[None], noise])
    wanted = written.answer(chips)
    got = IdentityNet(file).embed(chips)
    assert got.dtype == np.float32
    assert np.abs(got - wanted).max() < 1e-4 * np.abs(wanted).max()


def test_answers_what_dlib_answers(real_file: Path) -> None:
    wanted = np.array(BY_DLIB.split(), np.float32)
    net = IdentityNet(real_file)
    chips = np.stack([drawn_face()] * 3)
    chips[1] = 255 - chips[1]
    got = net.embed(chips)
    assert np.abs(got[0] - wanted).max() < 1e-5
    assert np.abs(got[2] - wanted).max() < 1e-5
    assert np.linalg.norm(got[1] - wanted) > 0.3
    assert np.allclose(net.embed(chips[1:2])[0], got[1], atol=1e-5)


def test_no_chips_and_wrong_chips(written: Writer, tmp_path: Path) -> None:
    file = tmp_path / "net.dat"
    file.write_bytes(written.data)
    net = IdentityNet(file)
    assert net.embed(np.zeros((0, SIDE, SIDE, 3), np.uint8)).shape == (0, 128)
    with pytest.raises(ValueError, match="150"):
        net.embed(np.zeros((1, 96, 96, 3), np.uint8))


def test_file_cut_short(written: Writer, tmp_path: Path) -> None:
    file = tmp_path / "net.dat"
    for length in (0, 1, 20, 60, 90, 5000, 20000, len(written.data) // 2, len(written.data) - 1):
        file.write_bytes(written.data[:length])
        with pytest.raises(WeightsError) as caught:
            read_dlib(file)
        assert str(file) in caught.value.problem


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="cannot be read"):
        read_dlib(tmp_path / "none.dat")


@settings(max_examples=60, deadline=None)
@given(data=st.binary(max_size=300), keep=st.integers(0, 80))
def test_nonsense_is_refused(
    written: Writer, tmp_path_factory: pytest.TempPathFactory, data: bytes, keep: int
) -> None:
    file = tmp_path_factory.getbasetemp() / "nonsense.dat"
    file.write_bytes(written.data[:keep] + data)
    with pytest.raises(WeightsError):
        read_dlib(file)


@settings(max_examples=25, deadline=None)
@given(at=st.integers(0, 330) | st.integers(19290, 19420), bit=st.integers(0, 7))
def test_flipped_bit_never_ends_in_another_error(
    written: Writer, tmp_path_factory: pytest.TempPathFactory, at: int, bit: int
) -> None:
    data = bytearray(written.data)
    data[at] ^= 1 << bit
    file = tmp_path_factory.getbasetemp() / "flipped.dat"
    file.write_bytes(data)
    with contextlib.suppress(WeightsError):
        assert len(read_dlib(file).convolutions) == 29


def test_number_that_is_not_finite_and_huge_tensor(written: Writer, tmp_path: Path) -> None:
    file = tmp_path / "net.dat"
    at = written.data.index(b"con_4") + 5
    sizes = b"\x01\x02\x02\x80\x12\x01\x01\x01\x01\x01\x01"
    assert written.data[at : at + len(sizes)] == sizes
    start = at + len(sizes)
    file.write_bytes(
        written.data[:start] + struct.pack("<f", float("nan")) + written.data[start + 4 :]
    )
    with pytest.raises(WeightsError, match="not finite"):
        read_dlib(file)
    huge = b"\x01\x02" + b"\x04\xff\xff\xff\x7f" * 4
    file.write_bytes(written.data[:at] + huge + written.data[start:])
    with pytest.raises(WeightsError, match="a tensor of shape"):
        read_dlib(file)


def five_points(scale: float, angle: float, shift: tuple[float, float]) -> Floats:
    """A mesh whose five points lie exactly on dlib's mean shape, moved by a similarity."""
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    mesh = np.zeros((468, 3), np.float32)
    for point, place in CHIP_POINTS.items():
        mesh[point, :2] = turn @ np.array(place) + shift
    return mesh


@given(
    scale=st.floats(10, 2000),
    angle=st.floats(-3.1, 3.1),
    x=st.floats(-500, 5000),
    y=st.floats(-500, 5000),
)
def test_five_points_go_to_their_places(scale: float, angle: float, x: float, y: float) -> None:
    mesh = five_points(scale, angle, (x, y))
    got = transform_points(chip_alignment(mesh), mesh[list(CHIP_POINTS)])
    wanted = (np.array(list(CHIP_POINTS.values())) + 0.25) / 1.5 * 150
    assert np.abs(got - wanted).max() < 0.15


def test_chip_shows_the_face_at_every_size() -> None:
    """A dot painted where the nose is appears where the nose belongs, whatever the scale."""
    wanted = (np.array(CHIP_POINTS[2]) + 0.25) / 1.5 * 150
    for scale in (60.0, 100.0, 420.0):
        mesh = five_points(scale, 0.3, (scale, scale * 0.7))
        side = int(scale * 3)
        y, x = np.mgrid[:side, :side]
        distance = np.hypot(x - mesh[2, 0], y - mesh[2, 1])
        image = np.zeros((side, side, 3), np.uint8)
        image[..., 1] = np.clip(255 * (1 - distance / (0.06 * scale)), 0, 255)
        chips = face_chips(image, [mesh, mesh])
        assert chips.shape == (2, 150, 150, 3)
        assert np.array_equal(chips[0], chips[1])
        green = chips[0, ..., 1].astype(float)
        ys, xs = np.mgrid[:150, :150]
        centre = np.array([(green * xs).sum(), (green * ys).sum()]) / green.sum()
        assert np.abs(centre - wanted).max() < 0.3
        assert not chips[0, ..., [0, 2]].any()
    assert face_chips(image, []).shape == (0, 150, 150, 3)


def test_people_are_told_apart(shared_data: Path, real_file: Path) -> None:
    detector = Detector(
        store.path("face_detection_short_range.tflite"),
        store.path("face_detection_full_range_sparse.tflite"),
        32,
    )
    mesh = Mesh(store.path("face_landmark.tflite"), reference())
    net = IdentityNet(real_file)
    films = [f"real/grid_raw/{name}.mpg" for name in ("lbax4n", "swiz3n", "sbia1a", "bbaf2n")]
    films += [f"synthetic/test1_{name}.mp4" for name in ("ada", "ben", "chen")]
    people, numbers = [], []
    for film in films:
        with av.open(str(shared_data / film)) as container:
            for index, frame in enumerate(container.decode(video=0)):
                if index > 60:
                    break
                if index % 20:
                    continue
                image = np.asarray(frame.to_ndarray(format="rgb24"), np.uint8)
                face = mesh.from_detection(image, detector.detect(image)[0])
                numbers.append(net.embed(face_chips(image, [face.landmarks]))[0])
                people.append(film)
    points, names = np.array(numbers), np.array(people)
    distances = np.linalg.norm(points[:, None] - points[None], axis=2)
    same = names[:, None] == names[None]
    assert distances[same].max() < 0.6
    assert distances[~same].min() > 0.6
    means = np.array([points[names == film].mean(axis=0) for film in films])
    to_means = np.linalg.norm(points[:, None] - means[None], axis=2)
    assert [films[k] for k in to_means.argmin(axis=1)] == people
