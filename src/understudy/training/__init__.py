"""Facesets in, model out: who learns what, batches, steps, checkpoints, preview sheets, and the
base that a training begins with."""
