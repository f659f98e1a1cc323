"""Anchors: the word of someone else that a checkpoint was there by a certain time. RFC 3161
time stamps and OpenTimestamps."""
