"""Recognition networks: backbones, the recogniser around them, and the files they are kept in."""
