"""The version of this package, in one place: hatch reads it, discovery and `/version` say it."""

__version__ = "0.1.0"
