import pytest
import torch
from torch.nn import functional

from understudy.models.texture import detail, texture

GRAIN = torch.rand(2, 1, 32, 32, generator=torch.Generator().manual_seed(4))
EVERYWHERE = torch.ones(2, 1, 32, 32)


def test_detail_elsewhere_is_as_good_and_blur_is_not() -> None:
    moved = torch.roll(GRAIN, (3, 5), (2, 3))
    blurred = functional.avg_pool2d(GRAIN, 5, 1, 2, count_include_pad=False)
    assert float(texture(GRAIN, GRAIN, EVERYWHERE)) == 0
    near, far = (float(texture(one, GRAIN, EVERYWHERE)) for one in (moved, blurred))
    assert near < 0.15 * far


def test_a_plain_picture_has_no_detail_and_still_a_finite_slope() -> None:
    plain = torch.full((1, 1, 32, 32), 0.4, requires_grad=True)
    assert float(detail(plain).detach().max()) == pytest.approx(1e-3, rel=1e-3)
    (slope,) = torch.autograd.grad(texture(plain, GRAIN[:1], EVERYWHERE[:1]), plain)
    assert bool(slope.isfinite().all())


def test_only_what_the_mask_shows_counts() -> None:
    changed = GRAIN.clone()
    changed[..., 16:] = 0.5
    left = EVERYWHERE.clone()
    left[..., 8:] = 0
    assert float(texture(changed, GRAIN, left)) == 0
    assert float(texture(changed, GRAIN, 1 - left)) > 0.05
    assert float(texture(changed, GRAIN, torch.zeros_like(left))) == 0


def test_a_blurred_picture_gets_sharper_by_following_the_slope() -> None:
    picture = functional.avg_pool2d(GRAIN, 5, 1, 2, count_include_pad=False).requires_grad_()
    before = float(detail(picture).detach().mean())
    for _ in range(20):
        (slope,) = torch.autograd.grad(texture(picture, GRAIN, EVERYWHERE), picture)
        picture = (picture - 200 * slope).detach().requires_grad_()
    assert float(detail(picture).detach().mean()) > 1.5 * before


def test_slopes_worked_out_by_hand_are_the_true_ones() -> None:
    other = torch.rand(2, 1, 32, 32, generator=torch.Generator().manual_seed(5))
    mask = torch.rand(2, 1, 32, 32, generator=torch.Generator().manual_seed(6))
    picture = GRAIN.clone().requires_grad_()
    by_hand = texture(picture, other, mask)
    (slope,) = torch.autograd.grad(3 * by_hand, picture)
    automatic = texture(picture, other.requires_grad_(), mask)
    (expected,) = torch.autograd.grad(3 * automatic, picture)
    assert torch.allclose(by_hand, automatic)
    assert float((slope - expected).norm()) < 1e-4 * float(expected.norm())


def test_a_pattern_of_single_pixels_counts_no_more_than_coarser_detail() -> None:
    rows, columns = torch.meshgrid(torch.arange(32), torch.arange(32), indexing="ij")
    single = ((rows + columns) % 2).float()[None, None]
    coarse = ((rows // 2 + columns // 2) % 2).float()[None, None]
    inside = (slice(None), slice(None), slice(1, -1), slice(1, -1))
    assert float(detail(single)[inside].mean()) < 1.3 * float(detail(coarse)[inside].mean())
