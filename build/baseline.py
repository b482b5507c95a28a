"""What another language model says to the questions of a report, for `pipeline evaluate --answers`.

Arguments: performance_report.json, the model as GGUF, the file to write; then `chat` for a model that was trained to talk, `references` to
put before the question the entries that were found for it, which this device's own model reads. Greedy. Needs torch, transformers, gguf.
"""

import json
import os
import sys

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

TOKENS = 120
TASK = "You help tomato growers. Answer in at most 80 words."
FROM_REFERENCES = " Say only what the references say."


def prompt(tokenizer, one, chat, references):
    """Ids of the text to go on from."""
    found = [" ".join(sentence["text"] for sentence in entry["sentences"]) for entry in one["considered"]]
    parts = ["References:", *found] if references and found else []
    parts += [f"Readings: {one['readings_note']}"] if one["readings_note"] else []
    parts += [f"Question: {one['question']}"]
    task = TASK + (FROM_REFERENCES if references else "")
    if chat:
        talk = [{"role": "system", "content": task}, {"role": "user", "content": "\n\n".join(parts)}]
        text = tokenizer.apply_chat_template(talk, tokenize=False, add_generation_prompt=True)
    else:
        text = "\n\n".join([task, *parts, "Answer:"])
    return tokenizer(text, return_tensors="pt", add_special_tokens=not chat).input_ids


def main(report, gguf, out, *options):
    if unknown := set(options) - {"chat", "references"}:
        sys.exit(f"unknown: {', '.join(unknown)}")
    folder, name = os.path.split(gguf)
    tokenizer = AutoTokenizer.from_pretrained(folder, gguf_file=name)
    model = AutoModelForCausalLM.from_pretrained(folder, gguf_file=name, dtype=torch.float32).eval()
    answers = {}
    with open(report, encoding="utf-8") as file:
        asked = json.load(file)["details"]
    for one in asked:
        ids = prompt(tokenizer, one, "chat" in options, "references" in options)
        with torch.no_grad():
            said = model.generate(ids, max_new_tokens=TOKENS, do_sample=False, pad_token_id=tokenizer.eos_token_id)
        text = tokenizer.decode(said[0, ids.shape[1]:], skip_special_tokens=True)
        # A model that was not trained to talk goes on with a question of its own.
        answers[one["id"]] = text.split("\nQuestion:")[0].strip()
    with open(out, "w", encoding="utf-8") as file:
        json.dump(answers, file, ensure_ascii=False, indent=0)


main(*sys.argv[1:])
