"""Pixels and sound in and out: films and pictures read, written, joined and drawn over, with
exact times. `media.video` names what other packages need for films."""
