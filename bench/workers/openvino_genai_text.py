"""OpenVINO GenAI's pipeline for text, greedy, ids in and out."""

import numpy
import openvino
import openvino_genai

from serve import serve, timed

pipeline = None


def load(model, threads, precision="bf16", **_):
    global pipeline

    def make():
        # Without prefix caching: every prompt is read.
        scheduler = openvino_genai.SchedulerConfig()
        scheduler.enable_prefix_caching = False
        return openvino_genai.LLMPipeline(
            model, "CPU", scheduler_config=scheduler, INFERENCE_NUM_THREADS=threads, INFERENCE_PRECISION_HINT=precision
        )

    seconds, pipeline = timed(make)
    return {"seconds": seconds}


def generate(prompts, count):
    ids = numpy.array(prompts, dtype=numpy.int64)
    inputs = openvino_genai.TokenizedInputs(openvino.Tensor(ids), openvino.Tensor(numpy.ones_like(ids)))
    return pipeline.generate(inputs, max_new_tokens=count, do_sample=False, ignore_eos=True)


def prefill(tokens):
    return {"seconds": timed(lambda: generate([tokens], 1))[0]}


def decode(tokens, count):
    result = generate([tokens], count + 1)
    metrics = result.perf_metrics
    seconds = (metrics.get_generate_duration().mean - metrics.get_ttft().mean) / 1000
    return {"seconds": seconds, "ids": [int(token) for token in result.tokens[0]]}


def batch(prompts, count):
    seconds, result = timed(lambda: generate(prompts, count))
    return {"seconds": seconds, "tokens": sum(len(tokens) for tokens in result.tokens)}


if __name__ == "__main__":  # not in processes that a library starts
    serve({"load": load, "prefill": prefill, "decode": decode, "batch": batch})
