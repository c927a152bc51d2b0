"""What two or more stages of Faceline need. Importing it imports nothing heavy."""

__version__ = "0.1.0"
