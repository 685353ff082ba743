"""CTranslate2's encoder. It pads to the longest sequence of a batch itself."""

import ctranslate2
import numpy

from serve import serve, timed

encoder = None


def load(model, threads, **_):
    global encoder
    seconds, encoder = timed(
        lambda: ctranslate2.Encoder(model, device="cpu", compute_type="int8", intra_threads=threads, inter_threads=1)
    )
    return {"seconds": seconds}


def embed(sequences):
    def run():
        return numpy.array(encoder.forward_batch(sequences).last_hidden_state)

    seconds, hidden = timed(run)
    return {"seconds": seconds, "first": hidden[0, 0].tolist()}


if __name__ == "__main__":  # not in processes that a library starts
    serve({"load": load, "embed": embed})
