"""The losses of local matching and occlusion, one a file."""
