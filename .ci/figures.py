"""What `make repro` must have reached on the embedded data: people named or told apart, faces found."""

import json
import sys
from pathlib import Path

metrics = json.loads(Path("artifacts/metrics.json").read_text())
detectors = json.loads(Path("artifacts/detect/metrics.json").read_text())
faults = [
    f"{name} is {found:.3f}, at least {least} is asked for"
    for name, found, least in (
        ("test accuracy", metrics["test"]["accuracy"], 0.90),
        ("AUC of unknown people", metrics["unseen"]["auc"], 0.85),
        ("VR of unknown people at FAR 1e-1", metrics["unseen"]["vr"]["far_1e-1"]["vr"], 0.50),
        ("AP of MTCNN, faces of 30 px or more,", detectors["mtcnn"]["ap_medium"], 0.80),
        ("AP of RetinaFace, faces of 30 px or more,", detectors["retinaface"]["ap_medium"], 0.50),
        ("AP of YOLO, faces of 30 px or more,", detectors["yolo"]["ap_medium"], 0.50),
        ("AP of the fusion, faces of 30 px or more,", detectors["fused"]["ap_medium"], 0.55),
    )
    if found < least
]
print("\n".join(faults) or "the embedded data reaches its figures")
sys.exit(bool(faults))
