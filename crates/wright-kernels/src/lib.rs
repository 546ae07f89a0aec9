//! wright-kernels
