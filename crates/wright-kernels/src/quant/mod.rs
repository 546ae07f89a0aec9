//! Matrices in block formats times activations in 8 bits, with exact integer sums.
