"""Make the shipped network that sees what lies in front of a face, from synthetic people.

    python -m tools.mask_network.train

The people's films are added and extracted into a project in out/base/ (as `make_base` does); their
faces, with the exact masks that come with the renders, are kept in out/mask/. Six people are kept
aside. Over the others' faces things are laid (see `covered`), seeded by the number of the step.
The training is saved every few hundred steps and goes on from there when it is run again. The
network goes to src/understudy/faces/occlusion.safetensors; docs/research/masks.md tells how the
shipped one was made.
"""

from __future__ import annotations

import argparse
import math
import time
from functools import lru_cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from benchmarks.common import OUT
from torch import Tensor, nn

from tools.make_base import CROWD, PROJECT, crowd
from tools.mask_network.covered import HAIR, Bare, Sample, Things, bare, jitter, labelled, sample
from understudy.faces.occlusion import SHIPPED, Layer, OcclusionNet, write
from understudy.facesets.faceset import Faceset
from understudy.runtime import files
from understudy.runtime.devices import bfloat16_pays

MASK = OUT.with_name("mask")
BATCH = 32
RATE = 2e-3
DECAY = 1e-2
WARMUP = 100
SAVE_EVERY = 250
DRAWINGS = {0: 400, 4200: 800}
"""From which step on, of each kind, so many things."""

HARD_FROM = (1250, 2000, 2600)
"""Steps from which faces come in harsh light, in light that hides features, and in more of it with
hands that are hard to see."""

AGAIN_FROM, AGAIN_RATE = (2600, 4200), 6e-4
"""Steps at which the learning rate begins anew, and with what (Loshchilov and Hutter, "SGDR:
stochastic gradient descent with warm restarts", 2017)."""

BARE_HAIR = 60
"""Pixels of hair in front of a face, at most, that counts as bare."""

ASIDE = 6
CPU = torch.device("cpu")


def people(project: Path, kept: Path) -> dict[str, Bare]:
    """Everybody's faces, read once and kept in the folder `kept`. Raises Missing."""
    kept.mkdir(parents=True, exist_ok=True)
    films = sorted(CROWD.glob("id*.mp4"))
    if not films or not all((kept / f"{film.stem}.npz").exists() for film in films):
        for person in (found := crowd(project)).people:
            film = CROWD / f"{person}.mp4"
            faces = Faceset.open(found.person(person).faces_folder)
            one = bare(faces, film, film.with_name(f"{person}_mask.mkv"))
            with files.atomic(kept / f"{person}.npz") as path, path.open("wb") as file:
                np.savez(file, pictures=one.pictures, masks=one.masks, meshes=one.meshes)
    everybody = {}
    for film in films:
        with np.load(kept / f"{film.stem}.npz") as stored:
            everybody[film.stem] = labelled(stored["pictures"], stored["masks"], stored["meshes"])
    return everybody


def apart(names: list[str]) -> list[str]:
    """Who is kept aside: the same as `understudy pretrain --aside 6` keeps."""
    return names[:: max(1, len(names) // ASIDE)][:ASIDE]


def packed(samples: list[Sample]) -> tuple[Tensor, Tensor, Tensor]:
    """Pictures (N, 3, S, S) 0..1, truths and weights (N, 2, S, S): covered, shown."""
    pictures = torch.from_numpy(np.stack([one.picture for one in samples]))
    truths = np.stack([np.stack((one.covered, one.shown)) for one in samples])
    weights = np.stack([np.stack((one.weight, np.ones_like(one.weight))) for one in samples])
    return (
        pictures.permute(0, 3, 1, 2).float() / 255,
        torch.from_numpy(truths),
        torch.from_numpy(weights),
    )


@lru_cache(maxsize=1)
def drawings(first: int, seed: int) -> Things:
    """What is laid over faces from this step of `DRAWINGS` on."""
    random = np.random.default_rng((seed, first) if first else seed)
    return Things.drawn(DRAWINGS[first], random)


def batch(everybody: list[Bare], things: Things, seed: int, step: int) -> list[Sample]:
    """What one step learns from."""
    random = np.random.default_rng((seed, step))
    made = []
    for _ in range(BATCH):
        hard = sum(step >= first for first in HARD_FROM)
        faces, row = _any_face(everybody, random)
        if hard > 2 and random.random() < 0.6:
            for _ in range(8):
                if (faces.kinds[row] == HAIR).sum() <= BARE_HAIR:
                    break
                faces, row = _any_face(everybody, random)
        if hard > 2 and random.random() < 0.4:
            over = [things.near(faces, row, random)]
        else:
            over = things.over(faces, row, everybody, random)
        made.append(sample(faces, row, over, random, jitter(random), hard=hard))
    return made


def _any_face(everybody: list[Bare], random: np.random.Generator) -> tuple[Bare, int]:
    faces = everybody[int(random.integers(len(everybody)))]
    return faces, int(random.integers(len(faces)))


def rate(step: int, steps: int) -> float:
    """The learning rate: after a warmup along half a cosine, and that once more from each of
    `AGAIN_FROM`."""
    first = max(begin for begin in (0, *AGAIN_FROM) if begin <= step)
    peak = AGAIN_RATE if first else RATE
    end = min([again for again in AGAIN_FROM if again > step], default=steps)
    fall = 0.5 * (1 + math.cos(math.pi * (step - first) / max(min(end, steps) - first, 1)))
    return peak * min(1.0, (step - first + 1) / WARMUP) * max(fall, 0.01)


def loss(logits: Tensor, truths: Tensor, weights: Tensor) -> Tensor:
    """Cross-entropy, and of what is covered also one less Dice's coefficient."""
    apart = nn.functional.binary_cross_entropy_with_logits(logits, truths, reduction="none")
    entropy = (apart * weights).sum((2, 3)) / weights.sum((2, 3)).clamp_min(1)
    chance, truth, weight = (one[:, 0] for one in (logits.sigmoid(), truths, weights))
    both = (chance * truth * weight).sum()
    dice = 2 * both / ((chance + truth) * weight).sum().clamp_min(1)
    return entropy.mean() + 0.25 * (1 - dice)


def normed(net: OcclusionNet) -> OcclusionNet:
    """With batch normalisation behind every convolution, to learn more quickly."""
    for layer in net.modules():
        if isinstance(layer, Layer):
            conv = layer.conv
            assert isinstance(conv, nn.Conv2d)
            layer.conv = nn.Sequential(conv, nn.BatchNorm2d(conv.out_channels))
    return net


def plain(net: OcclusionNet) -> OcclusionNet:
    """The same network with the normalisation worked into the convolutions."""
    bare_net = OcclusionNet()
    values = net.eval().state_dict()
    for name, layer in net.named_modules():
        if isinstance(layer, Layer):
            conv, norm = layer.conv[0], layer.conv[1]  # type: ignore[index]
            fused = torch.nn.utils.fusion.fuse_conv_bn_eval(conv, norm)
            for key in [key for key in values if key.startswith(f"{name}.conv.")]:
                del values[key]
            values |= {f"{name}.conv.{key}": value for key, value in fused.state_dict().items()}
    bare_net.load_state_dict(values)
    return bare_net.eval().requires_grad_(False)


def train(
    everybody: list[Bare], steps: int, seed: int, saved: Path, stop: float = math.inf
) -> OcclusionNet | None:
    """Train for so many steps, from where `saved` is; None when `stop` seconds passed before."""
    torch.manual_seed(seed)
    net = normed(OcclusionNet()).train()
    nn.Module.to(net, memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizer = torch.optim.AdamW(net.parameters(), lr=RATE, weight_decay=DECAY)
    step = 0
    if saved.exists():
        state = torch.load(saved, weights_only=True)
        net.load_state_dict(state["net"])
        optimizer.load_state_dict(state["optimizer"])
        step = state["step"]
    began, mean = time.monotonic(), 0.0
    while step < steps:
        things = drawings(max(first for first in DRAWINGS if first <= step), seed)
        for group in optimizer.param_groups:
            group["lr"] = rate(step, steps)
        pictures, truths, weights = packed(batch(everybody, things, seed, step))
        with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16_pays(CPU)):
            logits = net(pictures.contiguous(memory_format=torch.channels_last))
        value = loss(logits.float(), truths, weights)
        optimizer.zero_grad()
        torch.autograd.backward(value)
        optimizer.step()
        step += 1
        mean += (float(value.detach()) - mean) / min(step, 100)
        if step % SAVE_EVERY == 0 or step == steps:
            state = {"net": net.state_dict(), "optimizer": optimizer.state_dict(), "step": step}
            with files.atomic(saved) as path:
                torch.save(state, path)
            print(f"step {step}: {mean:.4f}, {time.monotonic() - began:.0f} s", flush=True)
        if time.monotonic() - began > stop and step < steps:
            return None
    return plain(net)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--steps", type=int, default=8000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--project", type=Path, default=PROJECT)
    parser.add_argument("--work", type=Path, default=MASK)
    parser.add_argument("--output", type=Path, default=SHIPPED)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    cv2.setNumThreads(given.threads)
    everybody = people(given.project, given.work)
    aside = apart(list(everybody))
    learned = [faces for name, faces in everybody.items() if name not in aside]
    saved = given.work / f"training-{given.seed}.pt"
    net = train(learned, given.steps, given.seed, saved)
    assert net is not None
    training: dict[str, Any] = {
        "people": len(learned),
        "faces": sum(map(len, learned)),
        "aside": aside,
        "steps": given.steps,
        "batch": BATCH,
        "seed": given.seed,
    }
    write(given.output, net, training)
    print(f"{given.output}: {given.output.stat().st_size} bytes")


if __name__ == "__main__":
    main()
