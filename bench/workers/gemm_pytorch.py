"""int8 products in PyTorch: oneDNN's bare one, int8 in and int32 out, and a linear layer that quantizes its input."""

import torch

from products import measure
from serve import serve

settings = {}


def load(threads, kind, **_):
    torch.set_num_threads(threads)
    torch.set_grad_enabled(False)
    torch.backends.quantized.engine = "onednn"
    settings["kind"] = kind
    return {"seconds": 0}


def product(rows, columns, depth, seconds):
    if settings["kind"] == "bare":
        a = torch.randint(-127, 128, (rows, depth), dtype=torch.int8)
        weight = torch.randint(-127, 128, (depth, columns), dtype=torch.int8)
        return measure(lambda: torch._int_mm(a, weight), rows * columns * depth, seconds)
    linear = torch.nn.Sequential(torch.nn.Linear(depth, columns))
    quantized = torch.ao.quantization.quantize_dynamic(linear, {torch.nn.Linear}, dtype=torch.qint8)
    a = torch.randn(rows, depth)
    return measure(lambda: quantized(a), rows * columns * depth, seconds)


if __name__ == "__main__":  # not in processes that a library starts
    serve({"load": load, "product": product})
