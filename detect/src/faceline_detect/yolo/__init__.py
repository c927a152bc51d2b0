"""YOLO, trained and run through ultralytics.

ultralytics is an extra of this package, `faceline-detect[yolo]`, and under AGPL-3.0, which binds whoever passes on, or
offers over a network, what is built with it; everything else works without it. Only this package imports it.
"""
