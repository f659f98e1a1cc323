"""What a finished file says of itself: the visible label, the invisible watermark, signed
credentials, and the record in this installation's ledger."""
