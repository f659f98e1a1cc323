"""Draw a film's faces with an exported model: ours, or a foreign DFM.

understudy convert FILM --model ada.dfm --replace chen --with ada
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import copy
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from understudy.conversion.compositing.composite import PAST
from understudy.conversion.detailer import NO_GALLERIES, Galleries
from understudy.conversion.swapper import Drawer, Draws
from understudy.errors import SettingsError
from understudy.models.onnx.card import grant
from understudy.models.onnx.runner import Exported
from understudy.provenance.model_registry import check_not_deleted
from understudy.safeguards.consent_gate import Consent
from understudy.settings import ConvertSettings
from understudy.types import Floats, Image


class ExportedArtist:
    """An exported model as an artist.

    Our own files name the person they draw, and draw no other. A foreign file does not:
    the user names the person, who needs a consent in the project. No file
    contains pictures: detail comes from galleries of the project (`with_galleries`).

    Raises:
        MediaError: the file cannot be read or may not be run.
        SettingsError: a library is missing.
        ConsentError: it is a copy of a file that was deleted here when someone was removed.
        TrustError: a record of it is damaged.
    """

    def __init__(self, path: Path, settings: ConvertSettings) -> None:
        self.model, self.settings, self.galleries = Exported(path), settings, NO_GALLERIES
        check_not_deleted(path, self.model.sha256)

    @property
    def people(self) -> Sequence[str]:
        card = self.model.contract.card
        return () if card is None else (card.person,)

    def facts(self) -> dict[str, Any]:
        card = self.model.contract.card
        return {
            "name": self.model.path.name,
            "network": self.model.contract.kind,
            "size": self.model.side,
            "people": list(self.people),
            "weights_sha256": self.model.sha256,
            "device": "cpu",
            "card": None if card is None else card.model_dump(mode="json"),
            "galleries": self.galleries.facts(),
        }

    def check(self, swaps: Mapping[str, str], consents: Mapping[str, Consent]) -> list[str]:
        """What the user should know before drawing starts, full sentences.

        Args:
            swaps: target: source.
            consents: on file in the project, at least that of the source.

        Raises:
            SettingsError: the file cannot draw what is asked for.
        """
        comes = sorted(set(swaps.values()))
        name, card = self.model.path.name, self.model.contract.card
        if len(comes) > 1:
            raise SettingsError(
                f"{name} draws one person, but {' and '.join(comes)} are named as sources.",
                "Convert the film once for each source.",
            )
        for goes in swaps:
            self.drawer(goes, comes[0])
        if card is None:
            return [
                f"{name} does not name the person it draws. It is used as {comes[0]}, with the "
                "consent on file in this project."
            ]
        stood = card.consents.get(card.person)
        if stood is not None and stood == grant(consents[card.person]):
            return []
        return [
            f"{name} was exported under another consent of {card.person} than the one on file here."
        ]

    def drawer(self, replace: str, with_: str) -> Draws:
        card = self.model.contract.card
        if card is not None and with_ != card.person:
            raise SettingsError(
                f"{self.model.path.name} draws {card.person}, not {with_}.",
                f"Use --with {card.person}, or another file.",
            )
        drawer = ExportedDrawer(self.model, replace, self.settings)
        drawer.detailer = self.galleries.detailer(replace, with_, self.settings.detail)
        return drawer

    def with_galleries(self, galleries: Galleries) -> ExportedArtist:
        """The same, with pictures of the source, from which their detail is taken."""
        other = copy(self)
        other.galleries = galleries
        return other

    def with_settings(self, settings: ConvertSettings) -> ExportedArtist:
        other = copy(self)
        other.settings = settings
        return other


class ExportedDrawer(Drawer):
    """Draws with an exported model over the faces of `replaced`.

    As with a trained model, our swap ends near the edge of the target's face: the file tells if
    that face is of the person whom it was made to replace, and otherwise it is looked for if the
    file draws our own crop. Files from elsewhere were made to replace anyone, and tell always.
    """

    def __init__(self, model: Exported, replaced: str, settings: ConvertSettings) -> None:
        card = model.contract.card
        self.model, self.settings, self.size = model, settings, model.side
        self.learned = card is None or card.learned
        self.bounded = card is None or (card.learned and card.replaced == replaced)
        # Our own files in our own crop are blended into frames in the same way as the model itself.
        self.looks = card is not None and card.size == self.size
        self.alike = self.bounded and self.looks
        reach = 2 * round(PAST * (self.size if card is None else card.size)) + 1
        self._reach = np.ones((reach, reach), np.uint8)

    def alignment(self, landmarks: Floats) -> Floats:
        return self.model.alignment(landmarks)

    def draw(self, crops: Sequence[Image]) -> tuple[Floats, Floats]:
        image, mask, below = self.model.draw(crops)
        if self.bounded:
            mask = mask * np.stack([cv2.dilate(one, self._reach) for one in below])
        return image, np.asarray(mask, np.float32)

    def draw_over(self, crops: Sequence[Image]) -> tuple[Floats, Floats, Floats | None]:
        return self.model.draw(crops) if self.alike else super().draw_over(crops)
