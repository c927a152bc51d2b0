"""RetinaFace's training: its pictures and labels, what each anchor has to learn, and the losses."""
