"""Face pictures that other programs made, read with distrust and taken into a faceset."""
