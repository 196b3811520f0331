"""From a traced function to an ONNX graph: `convert`, `simplify`, `onnx_file`."""
