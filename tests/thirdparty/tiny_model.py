"""Make a model of random weights, and a tokenizer trained on one sentence: what a real server needs to serve something.

``python tiny_model.py transformers FOLDER`` needs torch, transformers and tokenizers, ``gguf FILE`` needs gguf and
tokenizers. Run by sessions of nox in the environment of the server, which is not headgate's.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

CORPUS = ["What is 1 + 1? The answer is 2."] * 10
SPECIAL = ["<s>", "</s>", "<|system|>", "<|user|>", "<|assistant|>"]
TEMPLATE = (
    "{% for message in messages %}<|{{ message['role'] }}|>{{ message['content'] }}{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
WIDTH, LAYERS, HEADS, KEY_HEADS, INNER, CONTEXT = 64, 2, 4, 2, 128, 1024


def train() -> Tokenizer:
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=400, special_tokens=SPECIAL, initial_alphabet=alphabet)
    made.train_from_iterator(CORPUS, trainer)
    return made


def make_transformers(folder: Path) -> None:
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=train(), bos_token="<s>", eos_token="</s>", pad_token="</s>", chat_template=TEMPLATE
    )
    tokenizer.save_pretrained(folder)
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=WIDTH,
        intermediate_size=INNER,
        num_hidden_layers=LAYERS,
        num_attention_heads=HEADS,
        num_key_value_heads=KEY_HEADS,
        max_position_embeddings=CONTEXT,
        bos_token_id=0,
        eos_token_id=1,
        pad_token_id=1,
    )
    model = LlamaForCausalLM(config)
    model.generation_config.do_sample = True  # else `transformers serve` takes the likeliest, whatever the temperature
    model.save_pretrained(folder)


def make_gguf(file: Path) -> None:
    import gguf
    import numpy as np

    said = json.loads(train().to_str())["model"]
    tokens = sorted(said["vocab"], key=said["vocab"].get)
    writer = gguf.GGUFWriter(file, "llama")
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(WIDTH)
    writer.add_block_count(LAYERS)
    writer.add_feed_forward_length(INNER)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KEY_HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(WIDTH // HEADS)
    writer.add_vocab_size(len(tokens))
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(tokens)
    writer.add_token_types([3 if token in SPECIAL else 1 for token in tokens])
    writer.add_token_merges([pair if isinstance(pair, str) else " ".join(pair) for pair in said["merges"]])
    writer.add_bos_token_id(0)
    writer.add_eos_token_id(1)
    writer.add_add_bos_token(False)
    writer.add_chat_template(TEMPLATE)
    rng = np.random.default_rng(0)

    def weights(name: str, *shape: int) -> None:
        values: Any = np.ones(shape) if len(shape) == 1 else rng.normal(0, 0.3, shape)
        writer.add_tensor(f"{name}.weight", values.astype(np.float32))

    weights("token_embd", len(tokens), WIDTH)
    weights("output", len(tokens), WIDTH)
    weights("output_norm", WIDTH)
    for layer in range(LAYERS):
        block = f"blk.{layer}."
        keys = WIDTH // HEADS * KEY_HEADS
        for name, rows in (("attn_q", WIDTH), ("attn_k", keys), ("attn_v", keys), ("attn_output", WIDTH)):
            weights(block + name, rows, WIDTH)
        weights(block + "attn_norm", WIDTH)
        weights(block + "ffn_norm", WIDTH)
        weights(block + "ffn_gate", INNER, WIDTH)
        weights(block + "ffn_up", INNER, WIDTH)
        weights(block + "ffn_down", WIDTH, INNER)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


if __name__ == "__main__":
    {"transformers": make_transformers, "gguf": make_gguf}[sys.argv[1]](Path(sys.argv[2]))
