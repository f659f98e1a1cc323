"""Run one small network file (tflite) on one thread, through LiteRT.

One thread, because films are spread over cores by segments, and because these networks take
about a millisecond: waking a second thread costs more than it saves.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter

from understudy.errors import WeightsError
from understudy.types import Floats


class TfliteNetwork:
    """A network with one image input and float outputs.

    Holds its own input and output memory: use one per thread. The interpreter lets other
    Python threads run while it computes.

    Args:
        path: the .tflite file.

    Attributes:
        side: width and height of the input image in pixels.
    """

    def __init__(self, path: Path) -> None:
        try:
            self._interpreter: Any = Interpreter(model_path=str(path), num_threads=1)
            self._interpreter.allocate_tensors()
        except (ValueError, RuntimeError, OSError) as error:
            raise WeightsError(
                f"{path} is not a network that LiteRT can load ({error}).",
                "Delete the file and run the same command again to download it.",
            ) from error
        detail = self._interpreter.get_input_details()[0]
        self._input: int = detail["index"]
        self._outputs: list[int] = [d["index"] for d in self._interpreter.get_output_details()]
        self.side = int(detail["shape"][1])

    def __call__(self, image: Floats) -> list[Floats]:
        """Run on `image`, float32 (side, side, 3) in the network's own range.

        Returns:
            The outputs as flat-batch arrays (first axis dropped), in the file's order.
        """
        self._interpreter.set_tensor(self._input, image[np.newaxis])
        self._interpreter.invoke()
        return [self._interpreter.get_tensor(index)[0] for index in self._outputs]
