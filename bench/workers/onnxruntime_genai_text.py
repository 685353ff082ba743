"""onnxruntime-genai, greedy."""

import json

import onnxruntime_genai

from serve import serve, timed

loaded = None


def load(model, threads, **_):
    global loaded

    def make():
        config = onnxruntime_genai.Config(model)
        config.overlay(json.dumps({"model": {"decoder": {"session_options": {"intra_op_num_threads": threads}}}}))
        return onnxruntime_genai.Model(config)

    seconds, loaded = timed(make)
    return {"seconds": seconds}


def start(prompts, count):
    """A generator that has read the prompts."""
    length = len(prompts[0])
    parameters = onnxruntime_genai.GeneratorParams(loaded)
    parameters.set_search_options(
        do_sample=False, batch_size=len(prompts), min_length=length + count, max_length=length + count
    )
    generator = onnxruntime_genai.Generator(loaded, parameters)
    generator.append_tokens(prompts if len(prompts) > 1 else prompts[0])
    return generator


def advance(generator, count):
    for _ in range(count):
        generator.generate_next_token()


def prefill(tokens):
    return {"seconds": timed(lambda: advance(start([tokens], 1), 1))[0]}


def decode(tokens, count):
    generator = start([tokens], count + 1)
    advance(generator, 1)
    seconds, _ = timed(lambda: advance(generator, count))
    return {"seconds": seconds, "ids": [int(token) for token in generator.get_sequence(0)[len(tokens) :]]}


def batch(prompts, count):
    def run():
        generator = start(prompts, count)
        advance(generator, count)
        return sum(len(generator.get_sequence(i)) - len(prompts[i]) for i in range(len(prompts)))

    seconds, tokens = timed(run)
    return {"seconds": seconds, "tokens": tokens}


if __name__ == "__main__":  # not in processes that a library starts
    serve({"load": load, "prefill": prefill, "decode": decode, "batch": batch})
