"""What makes a function a stage: its command line, its progress, and outputs that appear whole or not at all."""
