"""The Open Inference Protocol (V2) over REST, with the binary tensor data extension.

Pure translation: what a V2 request asks becomes the body of an ordinary request to ``run()``, and its answer becomes
tensors. Nothing here reads a socket or knows a worker; ``endpoint`` is the door.
Sources: kserve/open-inference-protocol, specification/protocol/inference_rest.md and open_inference_rest.yaml;
triton-inference-server/server, docs/protocol/extension_binary_data.md.
"""
