"""CTranslate2's translator: greedy or beam search, to a fixed length."""

import ctranslate2

from serve import serve, timed

translator = None


def load(model, threads, **_):
    global translator
    seconds, translator = timed(
        lambda: ctranslate2.Translator(model, device="cpu", compute_type="int8", intra_threads=threads, inter_threads=1)
    )
    return {"seconds": seconds}


def translate(sources, count, beams):
    def run():
        return translator.translate_batch(
            [[str(token) for token in tokens] for tokens in sources],
            beam_size=beams,
            min_decoding_length=count,
            max_decoding_length=count,
        )

    seconds, results = timed(run)
    made = [result.hypotheses[0] for result in results]
    # Tokens are called by their numbers; the others are special.
    ids = [int(token) if token.isdigit() else -1 for token in made[0]]
    return {"seconds": seconds, "tokens": sum(len(tokens) for tokens in made), "ids": ids}


if __name__ == "__main__":  # not in processes that a library starts
    serve({"load": load, "translate": translate})
