"""Runs and vectors for other programs: ONNX, model cards, the Hugging Face hub, clip-retrieval's layout."""
