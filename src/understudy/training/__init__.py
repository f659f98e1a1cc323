"""From facesets to a model: plan, batches, steps, checkpoints, preview sheets, and the
base that a training starts with."""
