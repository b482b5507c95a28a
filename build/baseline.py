"""What another language model says to the questions of a report, for `pipeline evaluate --answers`.

Arguments: performance_report.json, a model's GGUF, the file to write, and `references` to put the entries that were found before the
question, as this device's own model reads them. Decodes greedily. Needs torch, transformers and gguf.
"""

import json
import os
import sys

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

TOKENS = 160
SYSTEM = "You help tomato growers. Answer in at most 100 words{}."


def prompt(tokenizer, one, references):
    found = [" ".join(sentence["text"] for sentence in entry["sentences"]) for entry in one["considered"]]
    parts = [f"Reference: {text}" for text in found] if references else []
    parts += [f"Readings: {one['readings_note']}"] if one["readings_note"] else []
    system = SYSTEM.format(" from the references alone" if references else "")
    if tokenizer.chat_template and "instruct" in tokenizer.name_or_path.lower():
        asked = "\n\n".join([*parts, one["question"]])
        talk = [{"role": "system", "content": system}, {"role": "user", "content": asked}]
        return tokenizer.apply_chat_template(talk, tokenize=False, add_generation_prompt=True)
    return "\n\n".join([system, *parts, f"Question: {one['question']}", "Answer:"])


def main(report, gguf, out, references=False):
    folder, name = os.path.split(gguf)
    tokenizer = AutoTokenizer.from_pretrained(folder, gguf_file=name)
    tokenizer.name_or_path = name
    model = AutoModelForCausalLM.from_pretrained(folder, gguf_file=name, dtype=torch.float32).eval()
    answers = {}
    with open(report, encoding="utf-8") as file:
        asked = json.load(file)["details"]
    for one in asked:
        ids = tokenizer(prompt(tokenizer, one, references), return_tensors="pt", add_special_tokens=True).input_ids
        with torch.no_grad():
            said = model.generate(ids, max_new_tokens=TOKENS, do_sample=False, pad_token_id=tokenizer.eos_token_id)
        text = tokenizer.decode(said[0, ids.shape[1]:], skip_special_tokens=True)
        # A base model goes on with a question of its own.
        answers[one["id"]] = text.split("\nQuestion:")[0].strip()
        print(one["id"], answers[one["id"]][:80].replace("\n", " "), flush=True)
    with open(out, "w", encoding="utf-8") as file:
        json.dump(answers, file, ensure_ascii=False, indent=0)


main(*sys.argv[1:4], references="references" in sys.argv[4:])
