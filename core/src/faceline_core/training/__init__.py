"""The Lightning set-up that stages which train share: devices, order of the data, optimiser, history, resume."""
