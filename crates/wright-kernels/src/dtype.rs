//! The number formats that a tensor may be stored in, and their sizes.
//!
//! This file knows how many values and bytes a block has, and nothing of what is in it: decoding
//! is `dequant`, arithmetic on the integers is `quant`.

/// How the values of a tensor are stored. Names and numbers are those of GGUF.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum DType {
    F32,
    F16,
    BF16,
    Q4_0,
    Q4_1,
    Q5_0,
    Q5_1,
    Q8_0,
    Q2K,
    Q3K,
    Q4K,
    Q5K,
    Q6K,
    IQ4NL,
    IQ4XS,
    IQ2XXS,
    IQ2XS,
    IQ2S,
    IQ3XXS,
    IQ3S,
    IQ1S,
    IQ1M,
    TQ1_0,
    TQ2_0,
    MXFP4,
}

impl DType {
    /// Every format, in the order of declaration.
    pub const ALL: [DType; 25] = [
        DType::F32,
        DType::F16,
        DType::BF16,
        DType::Q4_0,
        DType::Q4_1,
        DType::Q5_0,
        DType::Q5_1,
        DType::Q8_0,
        DType::Q2K,
        DType::Q3K,
        DType::Q4K,
        DType::Q5K,
        DType::Q6K,
        DType::IQ4NL,
        DType::IQ4XS,
        DType::IQ2XXS,
        DType::IQ2XS,
        DType::IQ2S,
        DType::IQ3XXS,
        DType::IQ3S,
        DType::IQ1S,
        DType::IQ1M,
        DType::TQ1_0,
        DType::TQ2_0,
        DType::MXFP4,
    ];

    /// The format with this number in a GGUF tensor table, or None for one we cannot read.
    pub fn from_ggml(id: u32) -> Option<DType> {
        DType::ALL.into_iter().find(|dtype| dtype.ggml_id() == id)
    }

    /// The number of this format in a GGUF tensor table.
    pub fn ggml_id(self) -> u32 {
        self.facts().0
    }

    /// The name that GGUF tools print, such as `Q4_K`.
    pub fn name(self) -> &'static str {
        self.facts().1
    }

    /// Values in one block; rows are whole blocks.
    pub fn block_len(self) -> usize {
        self.facts().2
    }

    /// Bytes of one block.
    pub fn block_bytes(self) -> usize {
        self.facts().3
    }

    /// Bytes of a row of `k` values. None if `k` is not a whole number of blocks, or too large.
    pub fn row_bytes(self, k: usize) -> Option<usize> {
        if !k.is_multiple_of(self.block_len()) {
            return None;
        }
        (k / self.block_len()).checked_mul(self.block_bytes())
    }

    /// Whether values are stored as codes of a table, packed more tightly than in nibbles or with
    /// powers of two. Such formats are read and not written here.
    pub fn is_coded(self) -> bool {
        use DType::*;
        matches!(self, IQ2XXS | IQ2XS | IQ2S | IQ3XXS | IQ3S | IQ1S | IQ1M | TQ1_0 | TQ2_0 | MXFP4)
    }

    /// Whether a value is stored by itself, without a block around it.
    pub fn is_float(self) -> bool {
        self.block_len() == 1
    }

    /// (GGUF number, name, values in a block, bytes of a block)
    const fn facts(self) -> (u32, &'static str, usize, usize) {
        match self {
            DType::F32 => (0, "F32", 1, 4),
            DType::F16 => (1, "F16", 1, 2),
            DType::Q4_0 => (2, "Q4_0", 32, 2 + 16),
            DType::Q4_1 => (3, "Q4_1", 32, 4 + 16),
            DType::Q5_0 => (6, "Q5_0", 32, 2 + 4 + 16),
            DType::Q5_1 => (7, "Q5_1", 32, 4 + 4 + 16),
            DType::Q8_0 => (8, "Q8_0", 32, 2 + 32),
            DType::Q2K => (10, "Q2_K", 256, 16 + 64 + 4),
            DType::Q3K => (11, "Q3_K", 256, 32 + 64 + 12 + 2),
            DType::Q4K => (12, "Q4_K", 256, 4 + 12 + 128),
            DType::Q5K => (13, "Q5_K", 256, 4 + 12 + 32 + 128),
            DType::Q6K => (14, "Q6_K", 256, 128 + 64 + 16 + 2),
            DType::IQ4NL => (20, "IQ4_NL", 32, 2 + 16),
            DType::IQ4XS => (23, "IQ4_XS", 256, 2 + 2 + 4 + 128),
            DType::IQ2XXS => (16, "IQ2_XXS", 256, 2 + 64),
            DType::IQ2XS => (17, "IQ2_XS", 256, 2 + 64 + 8),
            DType::IQ3XXS => (18, "IQ3_XXS", 256, 2 + 64 + 32),
            DType::IQ1S => (19, "IQ1_S", 256, 2 + 32 + 16),
            DType::IQ3S => (21, "IQ3_S", 256, 2 + 64 + 8 + 32 + 4),
            DType::IQ2S => (22, "IQ2_S", 256, 2 + 64 + 8 + 8),
            DType::IQ1M => (29, "IQ1_M", 256, 32 + 16 + 8),
            DType::TQ1_0 => (34, "TQ1_0", 256, 48 + 4 + 2),
            DType::TQ2_0 => (35, "TQ2_0", 256, 64 + 2),
            DType::MXFP4 => (39, "MXFP4", 32, 1 + 16),
            DType::BF16 => (30, "BF16", 1, 2),
        }
    }
}

impl std::fmt::Display for DType {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// A weight matrix as it lies in its file: `n` rows (outputs) of `k` values (inputs), row after
/// row, each row whole blocks.
#[derive(Debug, Clone, Copy)]
pub struct Matrix<'a> {
    pub dtype: DType,
    /// Rows: outputs of the linear map.
    pub n: usize,
    /// Columns: inputs of the linear map.
    pub k: usize,
    /// `n * dtype.row_bytes(k)` bytes.
    pub bytes: &'a [u8],
}

impl<'a> Matrix<'a> {
    /// None unless `bytes` is exactly `n` whole rows.
    pub fn new(dtype: DType, n: usize, k: usize, bytes: &'a [u8]) -> Option<Self> {
        let want = dtype.row_bytes(k)?.checked_mul(n)?;
        (bytes.len() == want).then_some(Matrix { dtype, n, k, bytes })
    }

    /// Bytes of one row.
    ///
    /// # Panics
    /// If `k` is not a whole number of blocks, which [`Matrix::new`] excludes.
    pub fn row_bytes(&self) -> usize {
        self.dtype.row_bytes(self.k).expect("k is a whole number of blocks")
    }

    /// Row `row` as it is stored.
    ///
    /// # Panics
    /// If `row >= n`.
    pub fn row(&self, row: usize) -> &'a [u8] {
        let len = self.row_bytes();
        &self.bytes[row * len..(row + 1) * len]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_names_lead_back_to_the_format() {
        for dtype in DType::ALL {
            assert_eq!(DType::from_ggml(dtype.ggml_id()), Some(dtype));
            assert_eq!(DType::ALL.iter().filter(|d| d.name() == dtype.name()).count(), 1);
        }
        for removed in [4, 5, 9, 15, 31, 32, 33, 36, 37, 38, 1000] {
            assert_eq!(DType::from_ggml(removed), None);
        }
    }

    #[test]
    fn a_row_is_whole_blocks_or_nothing() {
        assert_eq!(DType::Q4_1.row_bytes(576), Some(360));
        assert_eq!(DType::Q4K.row_bytes(576), None);
        assert_eq!(DType::Q4K.row_bytes(512), Some(288));
        assert_eq!(DType::F32.row_bytes(usize::MAX), None);
        assert!(Matrix::new(DType::Q8_0, 2, 32, &[0; 68]).is_some());
        assert!(Matrix::new(DType::Q8_0, 2, 32, &[0; 67]).is_none());
        assert!(Matrix::new(DType::Q8_0, usize::MAX, 32, &[0; 68]).is_none());
    }
}
