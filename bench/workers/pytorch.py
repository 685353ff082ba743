"""PyTorch through transformers: bfloat16, float32, or bitsandbytes' LLM.int8(); decoders step by step over their cache, and encoders."""

import torch
import transformers

from padding import pad
from serve import serve, timed

loaded = None


def load(model, threads, form="bfloat16", encoder=False, **_):
    global loaded
    torch.set_num_threads(threads)
    torch.set_grad_enabled(False)

    def make():
        options = {"dtype": torch.float32 if form == "float32" else torch.bfloat16}
        if form == "bitsandbytes":
            options["quantization_config"] = transformers.BitsAndBytesConfig(load_in_8bit=True)
        kind = transformers.AutoModel if encoder else transformers.AutoModelForCausalLM
        return kind.from_pretrained(model, **options).eval()

    seconds, loaded = timed(make)
    return {"seconds": seconds}


def read(prompts):
    """The first new tokens of the prompts [prompts, 1], and the cache."""
    return advance(torch.tensor(prompts), None)


def advance(tokens, cache):
    found = loaded(tokens, past_key_values=cache, use_cache=True, logits_to_keep=1)
    return found.logits[:, -1].argmax(-1, keepdim=True), found.past_key_values


def generate(tokens, cache, count):
    made = []
    for _ in range(count):
        tokens, cache = advance(tokens, cache)
        made.append(tokens)
    return made


def prefill(tokens):
    return {"seconds": timed(lambda: read([tokens]))[0]}


def decode(tokens, count):
    first, cache = read([tokens])
    seconds, made = timed(lambda: generate(first, cache, count))
    return {"seconds": seconds, "ids": [int(token) for token in [first, *made]]}


def batch(prompts, count):
    def run():
        first, cache = read(prompts)
        return 1 + len(generate(first, cache, count - 1))

    seconds, steps = timed(run)
    return {"seconds": seconds, "tokens": steps * len(prompts)}


def embed(sequences):
    def run():
        ids, mask, _ = pad(sequences)
        return loaded(input_ids=torch.from_numpy(ids), attention_mask=torch.from_numpy(mask)).last_hidden_state

    seconds, hidden = timed(run)
    return {"seconds": seconds, "first": hidden[0, 0].float().tolist()}


if __name__ == "__main__":  # not in processes that a library starts
    serve({"load": load, "prefill": prefill, "decode": decode, "batch": batch, "embed": embed})
