#!/usr/bin/env python3
"""Tiny random models as transformers saves them, and as llama.cpp's converter converts them.

    python convert_models.py GOLDEN CONVERTER TARGET [NAME ...]

GOLDEN is the folder of wright-model's make.py, whose models, weights and tokenizers these are;
CONVERTER is llama.cpp's source. For each model TARGET/NAME/hf gets config.json, model.safetensors
and the tokenizer, and TARGET/NAME/peer.gguf is what the converter makes of it. A model that is
there is not made again. The check of the pre-tokenizer is overridden, as in make.py.
"""

import json
import os
import pathlib
import sys

golden, converter, target = (pathlib.Path(path).resolve() for path in sys.argv[1:4])
sys.path.insert(0, str(golden))

import sentencepiece  # noqa: E402
import torch  # noqa: E402

import families  # noqa: E402
import make  # noqa: E402


# What SentencePiece replaces before BPE, GGUF has no words for; real vocabularies replace nothing.
train = sentencepiece.SentencePieceTrainer.train
sentencepiece.SentencePieceTrainer.train = staticmethod(
    lambda **options: train(**options, normalization_rule_name="identity")
)


def convert(folder, target, outtype, extra):
    """Runs the converter in a fork, which has torch and transformers already."""
    child = os.fork()
    if child == 0:
        log = os.open(target.with_suffix(".log"), os.O_CREAT | os.O_WRONLY | os.O_TRUNC)
        os.dup2(log, 1)
        os.dup2(log, 2)
        sys.argv = ["convert", str(converter), str(folder), "--outfile", str(target)]
        sys.argv += ["--outtype", outtype]
        try:
            exec(make.program(extra), {"__name__": "convert"})
        except BaseException as error:
            print(repr(error), flush=True)
            os._exit(1)
        os._exit(0)
    if os.waitpid(child, 0)[1] != 0:
        said = target.with_suffix(".log").read_text().splitlines()
        raise RuntimeError(said[-1] if said else "it died without a word")


def one(name):
    folder, peer = target / name / "hf", target / name / "peer.gguf"
    if peer.is_file():
        return
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(sum(name.encode()))
    model, save_tokenizer, outtype = make.MODELS[name]()
    make.randomise(model, outtype)
    model.save_pretrained(folder)
    save_tokenizer(folder, model.config.vocab_size)
    half = peer.with_suffix(".part.gguf")
    convert(folder, half, outtype, families.EXTRA.get(name, ""))
    half.rename(peer)


def main():
    torch.set_num_threads(1)  # threads do not survive a fork
    names = sys.argv[4:] or list(make.MODELS)
    failed = []
    for name in names:
        try:
            one(name)
        except (Exception, SystemExit) as error:  # the next model may do
            last = [line for line in str(error).splitlines() if line.strip()] or [repr(error)]
            failed.append(f"{name}: {last[-1]}")
    (target / "made.json").write_text(json.dumps({"names": names, "failed": failed}))


if __name__ == "__main__":
    main()
