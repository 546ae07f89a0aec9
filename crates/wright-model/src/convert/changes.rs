//! Transformations of a tensor's values: rows selected and reordered, matrices transposed, one
//! added. Nothing here depends on names.

use super::families::{Change, Rows};
use super::numbers::Numbers;
use crate::Error;

impl Change {
    /// For matrices of `rows` rows and `cols` columns.
    ///
    /// # Errors
    /// If they cannot be changed so.
    pub fn resolve(
        self,
        numbers: &Numbers<'_>,
        mut n: usize,
        mut rows: usize,
        cols: usize,
    ) -> Result<Map, Error> {
        if matches!(self.first, Rows::HeadKeys | Rows::HeadValues) {
            let (keys, values) = numbers.latent_heads()?;
            let heads = rows / (keys + values).max(1);
            if n != 1 || heads * (keys + values) != rows {
                let why = format!("has {rows} rows, not heads of {keys} and {values}");
                return Err(Error::malformed("attn_kv_b", why));
            }
            (n, rows) = (heads, keys + values);
        }
        let first = Order::resolve(self.first, numbers, rows)?;
        let (mut out_rows, mut out_cols) = (first.count(rows), cols);
        if self.transposed {
            (out_rows, out_cols) = (out_cols, out_rows);
        }
        let then = Order::resolve(self.then, numbers, out_rows)?;
        out_rows = then.count(out_rows);
        let (transposed, plus_one) = (self.transposed, self.plus_one);
        Ok(Map { n, rows, cols, first, transposed, then, plus_one, out_rows, out_cols })
    }
}

/// A change of `n` matrices of `rows` × `cols` values to as many of `out_rows` × `out_cols`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Map {
    pub n: usize,
    pub rows: usize,
    pub cols: usize,
    first: Order,
    pub transposed: bool,
    then: Order,
    pub plus_one: bool,
    pub out_rows: usize,
    pub out_cols: usize,
}

impl Map {
    /// The row of all source matrices that row `row` of all results is; not for transposed ones.
    pub fn source_row(&self, row: usize) -> usize {
        let (matrix, row) = (row / self.out_rows, row % self.out_rows);
        matrix * self.rows + self.first.at(row, self.rows)
    }

    /// A result matrix out of a whole source matrix.
    ///
    /// # Shapes
    /// `source`: (rows, cols), row by row; the result: (out_rows, out_cols).
    pub fn matrix(&self, source: &[f32]) -> Vec<f32> {
        let mut out = Vec::with_capacity(self.out_rows * self.out_cols);
        let turned = if self.transposed { self.cols } else { self.first.count(self.rows) };
        for row in 0..self.out_rows {
            let row = self.then.at(row, turned);
            for col in 0..self.out_cols {
                let (row, col) = if self.transposed { (col, row) } else { (row, col) };
                out.push(source[self.first.at(row, self.rows) * self.cols + col]);
            }
        }
        out
    }
}

/// [`Rows`] with numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    All,
    Interleaved { head: usize },
    Band { start: usize, len: usize },
    Step { start: usize },
    Grouped { n_query: usize, head: usize },
}

impl Order {
    fn resolve(rows: Rows, numbers: &Numbers<'_>, n: usize) -> Result<Order, Error> {
        let whole = |unit: usize| {
            let why = format!("{n} is not a multiple of {unit} rows");
            let fits = unit > 0 && n.is_multiple_of(unit);
            if fits { Ok(()) } else { Err(Error::malformed("the rows of a matrix", why)) }
        };
        Ok(match rows {
            Rows::All => Order::All,
            Rows::Interleaved => {
                let head = numbers.head_dim()?;
                whole(head)?;
                Order::Interleaved { head }
            }
            Rows::FirstHalf => {
                whole(2)?;
                Order::Band { start: 0, len: n / 2 }
            }
            Rows::SecondHalf => {
                whole(2)?;
                Order::Band { start: n / 2, len: n / 2 }
            }
            Rows::Even => {
                whole(2)?;
                Order::Step { start: 0 }
            }
            Rows::Odd => {
                whole(2)?;
                Order::Step { start: 1 }
            }
            Rows::Grouped => {
                let head = numbers.head_dim()?;
                let (n_head, n_group) = (numbers.n_head()?, numbers.n_kv_head()?);
                let n_query = n_head / n_group.max(1);
                whole((n_query + 2) * head)?;
                Order::Grouped { n_query, head }
            }
            Rows::AfterPadding => {
                let start = numbers.n_skipped();
                let why = || format!("{n} positions, of which the first {start} are not used");
                let len = n.checked_sub(start).filter(|&len| len > 0);
                let len = len.ok_or_else(|| Error::malformed("position_embd", why()))?;
                Order::Band { start, len }
            }
            Rows::HeadKeys => Order::Band { start: 0, len: numbers.latent_heads()?.0 },
            Rows::HeadValues => {
                let (keys, values) = numbers.latent_heads()?;
                Order::Band { start: keys, len: values }
            }
        })
    }

    /// How many of `n` rows go over.
    fn count(self, n: usize) -> usize {
        match self {
            Order::All | Order::Interleaved { .. } | Order::Grouped { .. } => n,
            Order::Band { len, .. } => len,
            Order::Step { .. } => n / 2,
        }
    }

    /// The row of `n` that comes to stand at `row`.
    fn at(self, row: usize, n: usize) -> usize {
        match self {
            Order::All => row,
            Order::Interleaved { head } => {
                let (first, at) = (row / head * head, row % head);
                first + at % 2 * (head / 2) + at / 2
            }
            Order::Band { start, .. } => start + row,
            Order::Step { start } => 2 * row + start,
            Order::Grouped { n_query, head } => {
                let n_group = n / ((n_query + 2) * head);
                let (h, at) = (row / head, row % head);
                // Queries, one key, one value stand in each group, in this order.
                let (group, within) = match h.checked_sub(n_group * n_query) {
                    None => (h / n_query, h % n_query),
                    Some(h) => (h % n_group, n_query + h / n_group),
                };
                (group * (n_query + 2) + within) * head + at
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(order: Order, n: usize) -> Vec<usize> {
        (0..order.count(n)).map(|row| order.at(row, n)).collect()
    }

    #[test]
    fn rows_come_in_their_order() {
        assert_eq!(order(Order::Interleaved { head: 4 }, 8), [0, 2, 1, 3, 4, 6, 5, 7]);
        assert_eq!(order(Order::Band { start: 3, len: 2 }, 6), [3, 4]);
        assert_eq!(order(Order::Step { start: 1 }, 6), [1, 3, 5]);
        // Two groups of two queries, a key and a value, heads of one row.
        let grouped = Order::Grouped { n_query: 2, head: 1 };
        assert_eq!(order(grouped, 8), [0, 1, 4, 5, 2, 6, 3, 7]);
        // Heads of queries, keys and values in turn.
        assert_eq!(order(Order::Grouped { n_query: 1, head: 1 }, 6), [0, 3, 1, 4, 2, 5]);
    }

    #[test]
    fn matrices_are_transposed_between_two_choices_of_rows() {
        let source: Vec<f32> = (0..6u8).map(f32::from).collect();
        let map = Map {
            n: 1,
            rows: 3,
            cols: 2,
            first: Order::All,
            transposed: true,
            then: Order::All,
            plus_one: false,
            out_rows: 2,
            out_cols: 3,
        };
        assert_eq!(map.matrix(&source), [0.0, 2.0, 4.0, 1.0, 3.0, 5.0]);
        let odd = Map { then: Order::Step { start: 1 }, out_rows: 1, ..map.clone() };
        assert_eq!(odd.matrix(&source), [1.0, 3.0, 5.0]);
        let first = Order::Band { start: 0, len: 2 };
        assert_eq!(Map { first, out_cols: 2, ..map }.matrix(&source), [0.0, 2.0, 1.0, 3.0]);
    }
}
