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


def marian(_folder, result):
    """A Marian of the usual size (opus-mt's) with random weights: the work does not depend on them."""
    import torch
    from transformers import MarianConfig, MarianMTModel

    torch.manual_seed(1)
    config = MarianConfig(
        vocab_size=58101,
        d_model=512,
        encoder_layers=6,
        decoder_layers=6,
        encoder_attention_heads=8,
        decoder_attention_heads=8,
        encoder_ffn_dim=2048,
        decoder_ffn_dim=2048,
        max_position_embeddings=512,
        activation_function="swish",
        scale_embedding=True,
        pad_token_id=58100,
        eos_token_id=0,
        decoder_start_token_id=58100,
        forced_eos_token_id=None,
    )
    MarianMTModel(config).save_pretrained(result)


def ctranslate2_marian_int8(folder, result):
    """Without a tokenizer: token i of the vocabulary is called "i", but for those that CTranslate2 looks for."""
    from ctranslate2.converters.transformers import MarianMTLoader
    from transformers import MarianMTModel

    spec = MarianMTLoader().get_model_spec(MarianMTModel.from_pretrained(folder))
    tokens = [str(token) for token in range(58100)]  # CTranslate2 leaves the last one out, which pads and begins decoders with zeros
    tokens[0], tokens[1] = "</s>", "<unk>"
    spec.register_source_vocabulary(tokens)
    spec.register_target_vocabulary(tokens)
    spec.config.eos_token, spec.config.unk_token, spec.config.decoder_start_token = "</s>", "<unk>", "</s>"
    spec.config.add_source_eos = False
    spec.validate()
    spec.optimize(quantization="int8")
    result.mkdir(parents=True)
    spec.save(str(result))


TARGETS = {
    "openvino-causal-int8": openvino_causal_int8,
    "ctranslate2-int8": ctranslate2_int8,
    "onnxruntime-genai-int8": onnxruntime_genai_int8,
    "onnx-encoder": onnx_encoder,
    "marian": marian,
    "ctranslate2-marian-int8": ctranslate2_marian_int8,
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
