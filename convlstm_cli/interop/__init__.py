"""Other systems' formats: ONNX and torch.export programs, Keras files.

Owns whatever speaks another system's format.
May import nn/ and the base modules only."""
