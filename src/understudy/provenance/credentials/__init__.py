"""Content Credentials (C2PA 2.4): the manifest, the certificate, the signature, and the check
of all three."""
