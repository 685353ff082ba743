"""onnxruntime's DynamicQuantizeMatMul: quantizes its float input, multiplies by int8 weights, gives floats."""

import numpy
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from products import measure
from serve import serve

settings = {}


def load(threads, **_):
    settings["threads"] = threads
    return {"seconds": 0}


def product(rows, columns, depth, seconds):
    random = numpy.random.default_rng(1)
    constants = {
        "weight": random.integers(-127, 128, (depth, columns), dtype=numpy.int8),
        "scale": numpy.full((columns,), 0.01, dtype=numpy.float32),
        "zero": numpy.zeros((columns,), dtype=numpy.int8),
    }
    node = helper.make_node("DynamicQuantizeMatMul", ["a", *constants], ["y"], domain="com.microsoft")
    graph = helper.make_graph(
        [node],
        "product",
        [helper.make_tensor_value_info("a", TensorProto.FLOAT, [rows, depth])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [rows, columns])],
        [numpy_helper.from_array(values, name) for name, values in constants.items()],
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=8)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = settings["threads"]
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    a = random.standard_normal((rows, depth), dtype=numpy.float32)
    return measure(lambda: session.run(None, {"a": a}), rows * columns * depth, seconds)


if __name__ == "__main__":  # not in processes that a library starts
    serve({"load": load, "product": product})
