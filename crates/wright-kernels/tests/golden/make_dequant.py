"""Writes dequant.bin: blocks of every format and their values by the gguf package.

Run with `python make_dequant.py` where `pip install gguf numpy` has been run (made with gguf
0.19, numpy 2). For each format: u32 GGUF number, u32 values, the blocks, the values in f32, all
little-endian. The bytes are random from a fixed seed; scales are set by hand to ordinary, zero,
negative, subnormal and the largest finite halves, and never to NaN or infinity, whose products
differ between machines in ways that no file depends on.
"""

import struct
from pathlib import Path

import numpy as np
from gguf.constants import GGML_QUANT_SIZES, GGMLQuantizationType as T
from gguf.quants import dequantize

# Byte offsets of the half-precision scales in a block.
SCALES = {
    T.F16: [0], T.BF16: [], T.F32: [], T.Q4_0: [0], T.Q4_1: [0, 2], T.Q5_0: [0], T.Q5_1: [0, 2],
    T.Q8_0: [0], T.Q2_K: [80, 82], T.Q3_K: [108], T.Q4_K: [0, 2], T.Q5_K: [0, 2], T.Q6_K: [208],
    T.IQ4_NL: [0], T.IQ4_XS: [0], T.IQ2_XXS: [0], T.IQ2_XS: [0], T.IQ2_S: [0], T.IQ3_XXS: [0],
    T.IQ3_S: [0], T.IQ1_S: [0], T.IQ1_M: [], T.TQ1_0: [52], T.TQ2_0: [64], T.MXFP4: [],
}
CODED = {T.IQ2_XXS, T.IQ2_XS, T.IQ2_S, T.IQ3_XXS, T.IQ3_S, T.IQ1_S, T.IQ1_M, T.TQ1_0, T.TQ2_0}
SPECIAL = [0.0, -0.0, 5.96e-8, -6.0e-5, 65504.0, -65504.0, 1.0, 0.0078125]


def blocks(qtype, rng):
    length, size = GGML_QUANT_SIZES[qtype]
    n = 24 if length == 32 else 9 if qtype in CODED else 16
    if length == 1:
        n = 96
    data = rng.integers(0, 256, (n, size), dtype=np.uint8)
    if qtype == T.F32:
        data = rng.standard_normal(n).astype("<f4").view(np.uint8).reshape(n, 4).copy()
    if qtype == T.IQ1_M:
        # The scale lies in the upper nibbles of four u16: bits 12 to 15 of the last hold its sign
        # and most of its exponent.
        data[:, 55] = data[:, 55] & 0x0F | rng.choice([0x10, 0x20, 0x90, 0xB0], n)
    for k, at in enumerate(SCALES[qtype]):
        scales = (rng.standard_normal(n) * 0.02).astype("<f2")
        scales[: len(SPECIAL)] = np.roll(np.array(SPECIAL, "<f2"), k)
        data[:, at : at + 2] = scales.view(np.uint8).reshape(n, 2)
    return data.reshape(1, -1), n * length


def main():
    rng = np.random.default_rng(20)
    out = bytearray()
    for qtype in SCALES:
        data, n = blocks(qtype, rng)
        with np.errstate(all="ignore"):
            values = dequantize(data, qtype).astype("<f4").reshape(-1)
        assert values.shape == (n,), qtype
        out += struct.pack("<II", int(qtype), n) + data.tobytes() + values.tobytes()
    Path(__file__).with_name("dequant.bin").write_bytes(out)


main()
