#!/usr/bin/env python3
"""Makes pieces.json: small WordPiece and unigram vocabularies, and ids that these must give.

    python make_pieces.py

needs tokenizers and sentencepiece, whose ids they are, and protobuf.
"""

import base64
import io
import json
import pathlib

import sentencepiece
from sentencepiece import sentencepiece_model_pb2
from tokenizers import BertWordPieceTokenizer

HERE = pathlib.Path(__file__).resolve().parent
TEXT = [
    "Why are suspension bridges curved? Because a cable that carries a level road hangs so.",
    "The tower carries the cable, the cable carries the hangers, the hangers carry the road.",
    "Brücken tragen Straßen über Täler; naïve façades, café, 橋 и мосты.",
] * 8
LINES = [
    "", " ", "Why bridges?", "  The  cable   hangs.\n\tSo!", "naïve FAÇADE café", "橋橋 bridge橋",
    "don't stop-now (really)", "x" * 120, "Straße ÜBER Täler", "a\u0000b\u200bc\ufffdd", "ﬁne ½ ①",
    "мосты и МОСТЫ", "tower's road", "e\u0301 \u00a0 z", "…—„quoted“", "日本", "🌉 bridge 🌉🌉",
]


def word_piece():
    tokenizer = BertWordPieceTokenizer(lowercase=True)
    tokenizer.train_from_iterator(TEXT, vocab_size=260, min_frequency=1, show_progress=False)
    words = sorted(tokenizer.get_vocab().items(), key=lambda pair: pair[1])
    ids = [tokenizer.encode(line, add_special_tokens=False).ids for line in LINES]
    return {"tokens": [word for word, _ in words], "ids": ids}


def unigram(**options):
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(TEXT), model_writer=model, model_type="unigram", vocab_size=150,
        pad_id=0, eos_id=1, unk_id=2, bos_id=-1, minloglevel=2, hard_vocab_limit=False, **options,
    )
    processor = sentencepiece.SentencePieceProcessor(model_proto=model.getvalue())
    proto = sentencepiece_model_pb2.ModelProto()
    proto.ParseFromString(model.getvalue())
    pieces = [[piece.piece, piece.score, piece.type] for piece in proto.pieces]
    charsmap = base64.b64encode(proto.normalizer_spec.precompiled_charsmap).decode()
    ids = [processor.encode(line) for line in LINES]
    return {"pieces": pieces, "charsmap": charsmap, "ids": ids}


def main():
    golden = {
        "lines": LINES,
        "word_piece": word_piece(),
        "unigram": unigram(normalization_rule_name="identity", remove_extra_whitespaces=False),
        "unigram_merging": unigram(
            normalization_rule_tsv=str(HERE / "rules.tsv"), remove_extra_whitespaces=True
        ),
    }
    text = json.dumps(golden, ensure_ascii=False, separators=(",", ":"))
    (HERE / "pieces.json").write_text(text + "\n")
    print(len(text), "bytes")


if __name__ == "__main__":
    main()
