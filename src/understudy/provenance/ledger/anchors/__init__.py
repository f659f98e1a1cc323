"""Anchors: the word of somebody else that a checkpoint was there by a certain time. RFC 3161
time stamps and OpenTimestamps."""
