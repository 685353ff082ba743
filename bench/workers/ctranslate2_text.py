"""CTranslate2's generator, greedy. It takes tokens as text: those of the vocabulary that its converter wrote."""

import json
import pathlib
from time import perf_counter

import ctranslate2

from serve import serve, timed

generator = None
vocabulary = []


def load(model, threads, **_):
    global generator, vocabulary
    vocabulary = json.loads((pathlib.Path(model) / "vocabulary.json").read_text(encoding="utf8"))
    seconds, generator = timed(
        lambda: ctranslate2.Generator(model, device="cpu", compute_type="int8", intra_threads=threads, inter_threads=1)
    )
    return {"seconds": seconds}


def generate(prompts, count, callback=None):
    return generator.generate_batch(
        [[vocabulary[token] for token in tokens] for tokens in prompts],
        beam_size=1,
        sampling_topk=1,
        min_length=count,
        max_length=count,
        include_prompt_in_result=False,
        callback=callback,
    )


def prefill(tokens):
    return {"seconds": timed(lambda: generate([tokens], 1))[0]}


def decode(tokens, count):
    first = None

    def on_token(step):
        nonlocal first
        first = first or perf_counter()

    [result] = generate([tokens], count + 1, on_token)
    return {"seconds": perf_counter() - first, "ids": result.sequences_ids[0]}


def batch(prompts, count):
    seconds, results = timed(lambda: generate(prompts, count))
    return {"seconds": seconds, "tokens": sum(len(result.sequences_ids[0]) for result in results)}


if __name__ == "__main__":  # not in processes that a library starts
    serve({"load": load, "prefill": prefill, "decode": decode, "batch": batch})
