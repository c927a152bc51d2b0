"""What the search with a RetinaFace and the search with a YOLO share: sizes, batches, candidates."""
