"""The ledger: an append-only log in SQLite, the Merkle tree over it, signed checkpoints, proofs
and audits."""
