"""A face in a photo: the type, choosing one, cutting it out upright, and what is measured on it."""

from faceline_core.faces.alignment import TEMPLATE, AlignmentError, align, similarity, template
from faceline_core.faces.choosing import pick
from faceline_core.faces.face import Face
from faceline_core.faces.fingerprint import Fingerprint, difference_hash, fingerprint, thumbnail_vectors
from faceline_core.faces.measures import asymmetry, exposure, sharpness
from faceline_core.faces.photo import SUFFIXES, PhotoError, check_photo, read_mask, read_photo

__all__ = [
    "SUFFIXES",
    "TEMPLATE",
    "AlignmentError",
    "Face",
    "Fingerprint",
    "PhotoError",
    "align",
    "asymmetry",
    "check_photo",
    "difference_hash",
    "exposure",
    "fingerprint",
    "pick",
    "read_mask",
    "read_photo",
    "sharpness",
    "similarity",
    "template",
    "thumbnail_vectors",
]
