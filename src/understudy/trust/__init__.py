"""Why a face may be used, and later: how a film says what was done to it."""
