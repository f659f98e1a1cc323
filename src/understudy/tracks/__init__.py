"""Faces through a film: the scan and what it leaves on disk, the tracker, cuts between shots,
tracks that are repaired afterwards, and which person of the project a track shows."""
