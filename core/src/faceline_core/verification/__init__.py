"""Verification: are two faces one person? Rates, curves and their confidence, exact and without interpolation."""
