"""One person's part of a network as an ONNX or DFM file: written, looked at with distrust, and
run."""
