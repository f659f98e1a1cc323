"""Anchors: proof by an outside service that a checkpoint existed at a certain time. RFC 3161
time stamps and OpenTimestamps."""
