"""Face swapping from scratch: one encoder, two decoders, and nothing else.

    python examples/from_scratch.py [FOLDER] [--steps 2000]

The faces come from this package's bundled sample, two computer-made people called ada and chen;
the network and its training are all here. A few minutes on two processor cores. It writes
FOLDER/sheet.png: a picture, redrawn by the person's own decoder, and drawn by the other's.

The whole trick: both people go through ONE encoder, so it has to describe a face in words that
fit both (where it looks, whether it smiles, where the light is). Each decoder only ever learns to
draw ONE person from such a description. Describe chen, let ada's decoder draw: ada, as chen acts.
"""

import argparse
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from understudy import Project
from understudy.conversion.finish import marking
from understudy.demo import SAMPLE
from understudy.facesets.faceset import Faceset
from understudy.media.contact_sheet import Row, sheet, write_still

SIZE, LATENT, BATCH = 64, 128, 16


def get_faces(folder: Path) -> dict[str, Tensor]:
    """Aligned faces of two people: float (N, 4, 64, 64) in 0..1, red, green, blue and mask."""
    if (folder / "project.toml").exists():
        project = Project.open(folder)
    else:
        project = Project.create(folder)
        for name in ("ada", "chen"):
            project.add(name, [SAMPLE / f"{name}.mp4"], consent="synthetic")
            project.extract(name)
    faces = {}
    for name in project.people[:2]:
        found = Faceset.open(project.person(name).faces_folder).load(SIZE)
        pictures = torch.cat([torch.tensor(found.images), torch.tensor(found.masks)[..., None]], 3)
        edge = (pictures.shape[1] - SIZE) // 2  # what lies around the face is cut off
        pictures = pictures[:, edge : edge + SIZE, edge : edge + SIZE]
        faces[name] = pictures.permute(0, 3, 1, 2).float() / 255
    return faces


def down(inputs: int, outputs: int) -> nn.Module:
    """Half the side, more channels."""
    return nn.Sequential(nn.Conv2d(inputs, outputs, 5, stride=2, padding=2), nn.LeakyReLU(0.1))


def up(inputs: int, outputs: int) -> nn.Module:
    """Twice the side: each place becomes 2 x 2 places, out of four times the channels."""
    return nn.Sequential(
        nn.Conv2d(inputs, 4 * outputs, 3, padding=1), nn.PixelShuffle(2), nn.LeakyReLU(0.1)
    )


def make_encoder() -> nn.Module:
    """A picture, 12,288 numbers, to a latent of 128. Sides: 64 -> 32 -> 16 -> 8 -> 4."""
    return nn.Sequential(
        down(3, 32), down(32, 64), down(64, 128), down(128, 128),
        nn.Flatten(), nn.Linear(128 * 4 * 4, LATENT),
    )  # fmt: skip


def make_decoder() -> nn.Module:
    """And back: 4 -> 8 -> 16 -> 32 -> 64."""
    return nn.Sequential(
        nn.Linear(LATENT, 128 * 4 * 4), nn.Unflatten(1, (128, 4, 4)),
        up(128, 96), up(96, 64), up(64, 32),
        nn.Conv2d(32, 4 * 3, 3, padding=1), nn.PixelShuffle(2), nn.Sigmoid(),
    )  # fmt: skip


def varied(faces: Tensor) -> tuple[Tensor, Tensor]:
    """Faces as the encoder sees them, and as the decoder shall draw them.

    Both are mirrored, turned and lit at random, so that few pictures go a long way. Only what
    the encoder sees is also bent a little: it has to find out where things belong.
    """
    count = len(faces)
    mirror = torch.where(torch.rand(count) < 0.5, -1.0, 1.0)
    angle, zoom = torch.randn(count) * 0.06, 1 + torch.randn(count) * 0.03
    cos, sin, (x, y) = zoom * angle.cos(), zoom * angle.sin(), torch.randn(2, count) * 0.03
    turn = torch.stack([mirror * cos, -sin, x, mirror * sin, cos, y], 1).view(count, 2, 3)
    places = functional.affine_grid(turn, [count, 4, SIZE, SIZE], align_corners=False)
    bend = functional.interpolate(torch.randn(count, 2, 5, 5) * 0.04, SIZE, mode="bicubic")
    bent = places + bend.permute(0, 2, 3, 1)
    target = functional.grid_sample(faces, places, padding_mode="border", align_corners=False)
    seen = functional.grid_sample(faces, bent, padding_mode="border", align_corners=False)
    light = 1 + torch.randn(count, 3, 1, 1) * 0.08
    target[:, :3] = (target[:, :3] * light).clamp(0, 1)
    return (seen[:, :3] * light).clamp(0, 1), target


def train(faces: dict[str, Tensor], steps: int) -> tuple[nn.Module, dict[str, nn.Module]]:
    """Each decoder learns to redraw its own person; the encoder learns from both."""
    encoder = make_encoder()
    decoders = {name: make_decoder() for name in faces}
    weights = [*encoder.parameters(), *(w for one in decoders.values() for w in one.parameters())]
    optimizer = torch.optim.Adam(weights, lr=1e-3)
    for step in range(1, steps + 1):
        loss = torch.zeros(())
        for name, pictures in faces.items():
            seen, target = varied(pictures[torch.randint(len(pictures), (BATCH,))])
            drawn = decoders[name](encoder(seen))
            # The face counts, the background hardly.
            weight = 0.1 + target[:, 3:]
            loss = loss + ((drawn - target[:, :3]).abs() * weight).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step % 50 == 0 or step == steps:
            print(f"step {step}: loss {loss.item():.4f}", flush=True)
    return encoder.eval(), {name: one.eval() for name, one in decoders.items()}


@torch.no_grad()
def draw(encoder: nn.Module, decoders: dict[str, nn.Module], pictures: Tensor) -> list[Row]:
    """Pictures, and what each decoder makes of their latents."""
    latent = encoder(pictures)
    drawn = {f"decoder of {who}": decoder(latent) for who, decoder in decoders.items()}
    lines = {"pictures": pictures, **drawn}
    return [
        Row(caption, list((images * 255).byte().permute(0, 2, 3, 1).numpy()))
        for caption, images in lines.items()
    ]


def main(folder: Path, steps: int) -> None:
    torch.manual_seed(0)
    faces = get_faces(folder)
    encoder, decoders = train(faces, steps)
    rows = []
    for pictures in faces.values():
        shown = torch.linspace(0, len(pictures) - 1, 8).long()
        rows += draw(encoder, decoders, pictures[shown, :3])
    write_still(folder / "sheet.png", sheet(rows), marking("Faces swapped"))
    print(f"Look at {folder / 'sheet.png'}.")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path, nargs="?", default=Path("out/from-scratch"))
    parser.add_argument("--steps", type=int, default=2000)
    main(**vars(parser.parse_args()))
