"""Labels of faces in WIDER FACE's, RetinaFace's, COCO's and YOLO's formats: read, checked, written, summed up."""

from faceline_detect.annotations.kinds import Annotation, Annotations
from faceline_detect.annotations.reading import read_annotations
from faceline_detect.annotations.summary import Summary, summarise
from faceline_detect.annotations.writing import write_annotations
from faceline_detect.annotations.yolo_text import yolo_lines

__all__ = [
    "Annotation",
    "Annotations",
    "Summary",
    "read_annotations",
    "summarise",
    "write_annotations",
    "yolo_lines",
]
