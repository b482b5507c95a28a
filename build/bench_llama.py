"""One measured run of llama.cpp, for `pipeline bench`: arguments MODEL THREADS TOKENS DECODE, the prompt on standard input.

Prints `begin` when Python is ready, `first` at the first token, then one line of JSON. Needs llama-cpp-python.
"""

import json
import sys
import time

import llama_cpp
import numpy


def memory(field):
    """MiB, from the kernel; 0 where there is no /proc."""
    try:
        with open("/proc/self/status", encoding="ascii") as status:
            return next(int(line.split()[1]) / 1024 for line in status if line.startswith(field + ":"))
    except OSError:
        return 0.0


def next_token(llama):
    row = llama_cpp.llama_get_logits_ith(llama.ctx, -1)
    return int(numpy.ctypeslib.as_array(row, shape=(llama.n_vocab(),)).argmax())


def main(model, threads, tokens, decode):
    prompt = sys.stdin.buffer.read()
    before = memory("VmRSS")
    print("begin", flush=True)
    # Everything not named here is llama.cpp's default.
    llama = llama_cpp.Llama(model, n_ctx=2048, n_threads=threads, n_threads_batch=threads, verbose=False)
    ids = llama.tokenize(prompt, add_bos=True)[:tokens]
    llama.eval(ids)
    next_token(llama)
    print("first", flush=True)

    llama.reset()
    start = time.perf_counter()
    llama.eval(ids)
    token = next_token(llama)
    read = time.perf_counter()
    for _ in range(decode - 1):
        llama.eval([token])
        token = next_token(llama)
    end = time.perf_counter()
    print(json.dumps({
        "ids": ids, "decoded": decode, "prefill": len(ids) / (read - start), "decode": (decode - 1) / (end - read),
        "before_mib": before, "rss_mib": memory("VmRSS"), "peak_mib": memory("VmHWM"),
    }), flush=True)


main(sys.argv[1], *map(int, sys.argv[2:]))
