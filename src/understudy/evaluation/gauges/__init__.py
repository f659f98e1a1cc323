"""What a viewer sees in a swap, in figures.

PSNR and SSIM reward blur: a smooth mean face lies nearer to a crisp one than another crisp face a
pixel off. The gauges of this package ask other questions, one module each:

    regions      where face, eyes and mouth are in a frame, as weights
    detail       how much fine detail a swap has, and how much of it is in the right place
    footage      how much it has compared with the person's footage, if no truth is known
    likeness     which person it looks like, and by what margin
    retrieval    whether its person is found among many others
    perceptual   how far it is from the truth for a network that knows pictures
    blinks       whether its eyes shut when the film's do
    jumps        whether it jumps from frame to frame

`watching` runs them over the frames of a film, `seen` holds the figures, `wording` says them in
words and `table` shows them as a table.
"""

from __future__ import annotations

from understudy.evaluation.gauges.seen import Seen
from understudy.evaluation.gauges.table import tables
from understudy.evaluation.gauges.watching import Means, Subject, Watcher, closely
from understudy.evaluation.gauges.wording import sentences

__all__ = ["Means", "Seen", "Subject", "Watcher", "closely", "sentences", "tables"]
