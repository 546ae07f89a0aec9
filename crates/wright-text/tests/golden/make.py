"""Makes the small tokenizer of the tests and what it should answer.

    python make.py          (needs the package `tokenizers`)

Trains a byte-level BPE of 1,200 tokens on the text below with the reference implementation, and
writes `small.json` (vocabulary, merges) and, for each pre-tokenizer, the ids of the lines in
`lines.json`: `expected.json`.
"""

import json
import pathlib

from tokenizers import Regex, Tokenizer, models, pre_tokenizers, trainers

HERE = pathlib.Path(__file__).parent

GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
LLAMA3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
QWEN2 = LLAMA3.replace(r"\p{N}{1,3}", r"\p{N}")


def split(pattern):
    return pre_tokenizers.Split(Regex(pattern), "isolated")


RULES = {
    "gpt-2": [split(GPT2)],
    "smollm": [pre_tokenizers.Digits(individual_digits=True), split(GPT2)],
    "llama-bpe": [split(LLAMA3)],
    "qwen2": [split(QWEN2)],
}

WORDS = (
    "the of and to in is was that it for on are with as his they be at one have this from or had "
    "by hot but some what there we can out other were all your when up use word how said an each "
    "she which do their time if will way about many then them would write like so these her long "
    "make thing see him two has look more day could go come did number sound no most people my "
    "over know water than call first who may down side been now find any new work part take get "
    "place made live where after back little only round man year came show every good me give our "
    "under name very through just form sentence great think say help low line differ turn cause "
    "much mean before move right boy old too same tell does set three want air well also play "
    "small end put home read hand port large spell add even land here must big high such follow "
    "act why ask men change went light kind off need house picture try us again animal point "
    "mother world near build self earth father head stand own page should country found answer "
    "school grow study still learn plant cover food sun four between state keep eye never last"
).split()


def corpus():
    state = 12345
    for _ in range(400):
        line = []
        for _ in range(14):
            state = (state * 1103515245 + 12345) % 2**31
            word = WORDS[(state >> 12) % len(WORDS)]
            line.append(word.capitalize() if (state >> 7) % 11 == 0 else word)
        yield " ".join(line) + ". It's 1984, isn't it?\n"
    for _ in range(20):
        yield "fn main() {\n        println!(\"{}\", x + 1);\n    return 2024;\n}\n"
        yield "Größe, naïve, привет мир, 你好世界, こんにちは, 안녕하세요, 🦀🦀\n"


LINES = [
    "",
    " ",
    "   ",
    "\t\n \r\n\n",
    "Hello, world! It's 12345 o'clock; isn't it?",
    "    return x + 1;  // done\n\n\n}",
    "THE END'S NEAR, I'LL SAY'D",
    "Größe naïve привет мир 你好世界 こんにちは 안녕하세요 🦀 👩‍👩‍👧",
    "a\u0301e\u0301 \u00b2\u00bd\u0663 \u2003x\u3000y\u00a0z\u200b!",
    "\ufeff\ufffd\u0000\u0001\x7f",
    "the" * 60,
    "ſ'ſ 'S 'ſt x'LLy",
    "1 22 333 4444 55555 666666",
]


def main():
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [split(GPT2), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
    )
    trainer = trainers.BpeTrainer(
        vocab_size=1200,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(corpus(), trainer)
    model = json.loads(tokenizer.to_str())["model"]
    vocab = sorted(model["vocab"], key=model["vocab"].get)
    merges = [" ".join(pair) for pair in model["merges"]]
    small = {"tokens": vocab, "merges": merges}
    (HERE / "small.json").write_text(json.dumps(small, ensure_ascii=False) + "\n")
    expected = {"lines": LINES, "ids": {}}
    for name, rule in RULES.items():
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
            [*rule, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
        )
        expected["ids"][name] = [tokenizer.encode(line).ids for line in LINES]
    (HERE / "expected.json").write_text(json.dumps(expected, ensure_ascii=True) + "\n")


main()
