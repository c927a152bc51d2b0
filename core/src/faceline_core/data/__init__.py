"""The faces that preprocess wrote, as the other stages read them."""
