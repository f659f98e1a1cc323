"""The invisible watermark: how a record id is coded, laid over frames, and found again in a
film that was scaled, cropped, turned or mirrored."""
