"""Facesets in, model out."""
