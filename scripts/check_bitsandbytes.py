"""The Python half of check-bitsandbytes.mjs: runs int8 checkpoints with transformers and bitsandbytes.

Reads the task (a JSON file, the only argument) and writes TASK.out: for each case the numbers of the output that was
asked for, one list an input, and how many linear layers are int8; or what went wrong.
"""

import json
import sys

import torch
import transformers


def run(case, inputs):
    model_class = getattr(transformers, case["architecture"])
    config = transformers.AutoConfig.from_pretrained(case["folder"])
    # The fused kernels for experts have no CPU version for small sizes.
    eager = {"experts_implementation": "eager"} if "moe" in config.model_type or "mixtral" in config.model_type else {}
    model, loading = model_class.from_pretrained(case["folder"], output_loading_info=True, **eager)
    wrong = {key: sorted(map(str, names)) for key, names in loading.items() if names}
    if wrong:
        raise RuntimeError(f"not loaded as it is: {wrong}")
    model.eval()
    for tensor in [*model.parameters(), *model.buffers()]:
        if tensor.is_floating_point():
            tensor.data = tensor.data.float()
    values = []
    for ids in inputs:
        arguments = {"input_ids": torch.tensor([ids])}
        if model.config.is_encoder_decoder:
            arguments["decoder_input_ids"] = torch.tensor([ids[:4]])
        with torch.no_grad():
            values.append(model(**arguments)[case["output"]][0].float().flatten().tolist())
    int8 = sum(type(module).__name__ == "Linear8bitLt" for module in model.modules())
    return {"values": values, "int8": int8}


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        task = json.load(file)
    results = []
    for case in task["cases"]:
        try:
            results.append(run(case, task["inputs"]))
        except Exception as error:  # told in the table, whatever it is
            results.append({"error": f"{type(error).__name__}: {str(error).splitlines()[0]}"})
    with open(sys.argv[1] + ".out", "w", encoding="utf-8") as file:
        json.dump(results, file)


main()
