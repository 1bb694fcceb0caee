"""Perdure beside its peers and beside a bare limit: see README.md, run with `make bench`."""
