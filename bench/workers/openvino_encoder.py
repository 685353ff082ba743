"""OpenVINO on an encoder's ONNX file, of which it makes what it runs; padded batches, as its users make them."""

import openvino

from serve import serve, timed
from padding import pad

compiled = None


def load(model, threads, precision="bf16", **_):
    global compiled
    options = {"INFERENCE_NUM_THREADS": threads, "INFERENCE_PRECISION_HINT": precision, "PERFORMANCE_HINT": "LATENCY"}
    seconds, compiled = timed(lambda: openvino.Core().compile_model(model, "CPU", options))
    return {"seconds": seconds}


def embed(sequences):
    def run():
        ids, mask, types = pad(sequences)
        return compiled({"input_ids": ids, "attention_mask": mask, "token_type_ids": types})[0]

    seconds, hidden = timed(run)
    return {"seconds": seconds, "first": hidden[0, 0].tolist()}


if __name__ == "__main__":  # not in processes that a library starts
    serve({"load": load, "embed": embed})
