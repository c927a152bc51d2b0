"""The face detectors that other stages call."""
