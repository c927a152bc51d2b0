"""Faces as the stages read them: the splits that preprocess wrote, and what else one trains on."""
