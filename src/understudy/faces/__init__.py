"""One face in one picture: found, meshed, aligned, recognised, and where it is covered. Nothing
in here knows of films."""
