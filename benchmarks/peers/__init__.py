"""What the peers run: their own services, in their own virtual environment (see setup.py)."""
