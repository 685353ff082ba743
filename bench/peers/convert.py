"""Makes what one peer reads out of a Hugging Face folder.

    convert.py TARGET FOLDER RESULT

RESULT appears only when it is whole. Peers that read the folder as it is need no conversion.
"""

import pathlib
import shutil
import subprocess
import sys
import tempfile


def openvino_causal_int8(folder, result):
    from optimum.intel import OVModelForCausalLM, OVWeightQuantizationConfig

    quantization = OVWeightQuantizationConfig(bits=8)
    model = OVModelForCausalLM.from_pretrained(folder, export=True, quantization_config=quantization, compile=False)
    model.save_pretrained(result)


def ctranslate2_int8(folder, result):
    from ctranslate2.converters import TransformersConverter

    TransformersConverter(str(folder)).convert(str(result), quantization="int8")


def onnxruntime_genai_int8(folder, result):
    # Its options are checked by its command line.
    builder = [sys.executable, "-m", "onnxruntime_genai.models.builder", "-e", "cpu", "-p", "int8"]
    with tempfile.TemporaryDirectory() as cache:
        subprocess.run([*builder, "-i", str(folder), "-o", str(result), "-c", cache], check=True)


def onnx_encoder(folder, result):
    """The encoder as ONNX: ids and mask in, the last hidden state out; every size but the hidden one is open."""
    import torch
    from transformers import AutoModel

    model = AutoModel.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()
    ids = torch.ones(2, 8, dtype=torch.int64)
    names = ["input_ids", "attention_mask", "token_type_ids"]

    class Encoder(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.model = model

        def forward(self, input_ids, attention_mask, token_type_ids):
            # BertModel.forward makes its mask in a way that torch.onnx can't trace.
            hidden = self.model.embeddings(input_ids=input_ids, token_type_ids=token_type_ids)
            mask = (1.0 - attention_mask[:, None, None, :].float()) * torch.finfo(torch.float32).min
            return self.model.encoder(hidden, attention_mask=mask).last_hidden_state

    # The layout that transformers.js looks for: onnx/model.onnx beside the configuration.
    (result / "onnx").mkdir(parents=True)
    for name in ["config.json", "tokenizer.json", "tokenizer_config.json"]:
        if (folder / name).exists():
            shutil.copy(folder / name, result / name)
    target = result / "onnx" / "model.onnx"
    sizes = {0: "batch", 1: "tokens"}
    torch.onnx.export(
        Encoder(),
        (ids, torch.ones_like(ids), torch.zeros_like(ids)),
        str(target),
        input_names=names,
        output_names=["last_hidden_state"],
        dynamic_axes={name: sizes for name in [*names, "last_hidden_state"]},
        opset_version=17,
        dynamo=False,
    )
    from onnxruntime.quantization import QuantType, quantize_dynamic

    quantize_dynamic(str(target), str(result / "onnx" / "model_quantized.onnx"), weight_type=QuantType.QInt8)


TARGETS = {
    "openvino-causal-int8": openvino_causal_int8,
    "ctranslate2-int8": ctranslate2_int8,
    "onnxruntime-genai-int8": onnxruntime_genai_int8,
    "onnx-encoder": onnx_encoder,
}


def main():
    if len(sys.argv) != 4 or sys.argv[1] not in TARGETS:
        sys.exit(f"usage: convert.py {{{','.join(TARGETS)}}} FOLDER RESULT")
    target, folder, result = sys.argv[1], pathlib.Path(sys.argv[2]), pathlib.Path(sys.argv[3])
    partial = result.with_name(result.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    TARGETS[target](folder, partial)
    partial.rename(result)


if __name__ == "__main__":
    main()
