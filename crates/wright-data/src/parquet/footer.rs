//! The end of a Parquet file: which columns there are, and where their pages lie.

use super::damaged;
use super::thrift::{Compact, Type};
use std::io;

/// Columns within columns, at most.
const DEPTH_MAX: usize = 64;
/// `Type::BYTE_ARRAY` of the format.
const BYTE_ARRAY: i64 = 6;

/// A column that holds values, as the schema describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Leaf {
    /// Its place among the leaves.
    pub index: usize,
    pub path: Vec<String>,
    /// Whether its values are strings of bytes.
    pub is_bytes: bool,
    /// How many of the columns on its path may be without a value: the level of one that is there.
    pub level: u32,
    /// Whether it, or a column that it stands in, is a list.
    pub is_repeated: bool,
}

/// One element of the schema, which lists a tree from its root on, children after their parent.
#[derive(Default)]
struct Element {
    kind: Option<i64>,
    repetition: i64,
    name: String,
    children: u64,
}

impl Element {
    fn read(from: &mut Compact<'_>) -> io::Result<Element> {
        let mut element = Element::default();
        from.fields(|from, number, kind| {
            match (number, kind) {
                (1, Type::Int) => element.kind = Some(from.int()?),
                (3, Type::Int) => element.repetition = from.int()?,
                (4, Type::Binary) => {
                    element.name = String::from_utf8_lossy(from.binary()?).into_owned()
                }
                (5, Type::Int) => element.children = from.count()?,
                _ => return Ok(false),
            }
            Ok(true)
        })?;
        Ok(element)
    }
}

/// A column with columns in it, of which some are still to come.
struct Open {
    name: String,
    children: u64,
    level: u32,
    is_repeated: bool,
}

/// Leaves from elements as they come.
#[derive(Default)]
struct Schema {
    open: Vec<Open>,
    leaves: Vec<Leaf>,
    has_root: bool,
}

impl Schema {
    fn add(&mut self, element: Element) -> io::Result<()> {
        if !self.has_root {
            self.has_root = true;
            let Element { name, children, .. } = element;
            self.open.push(Open { name, children, level: 0, is_repeated: false });
            return Ok(());
        }
        while self.open.last().is_some_and(|parent| parent.children == 0) {
            self.open.pop();
        }
        let Some(parent) = self.open.last_mut() else {
            return Err(damaged("a schema with more columns than declared"));
        };
        parent.children -= 1;
        let level = parent.level + u32::from(element.repetition != 0);
        let is_repeated = parent.is_repeated || element.repetition == 2;
        if element.kind.is_none() {
            if self.open.len() > DEPTH_MAX {
                return Err(damaged("columns nested too deeply"));
            }
            let Element { name, children, .. } = element;
            self.open.push(Open { name, children, level, is_repeated });
            return Ok(());
        }
        // The root has a name, and is not a part of a path.
        let mut path: Vec<String> = self.open[1..].iter().map(|open| open.name.clone()).collect();
        path.push(element.name);
        let is_bytes = element.kind == Some(BYTE_ARRAY);
        let index = self.leaves.len();
        self.leaves.push(Leaf { index, path, is_bytes, level, is_repeated });
        Ok(())
    }
}

/// What a footer says of the file.
pub(super) struct Footer<'b> {
    pub leaves: Vec<Leaf>,
    pub is_encrypted: bool,
    /// At the list of groups of rows, which is read as one goes.
    groups: Compact<'b>,
    groups_left: u64,
}

impl<'b> Footer<'b> {
    pub fn read(bytes: &'b [u8]) -> io::Result<Footer<'b>> {
        let mut schema = Schema::default();
        let (mut groups, mut groups_left, mut is_encrypted) = (Compact::new(&[]), 0, false);
        Compact::new(bytes).fields(|from, number, kind| match (number, kind) {
            (2, _) => from.structs(kind, |from| schema.add(Element::read(from)?)),
            (4, Type::List) => {
                let mut ahead = from.clone();
                (groups_left, _) = ahead.list()?;
                groups = ahead;
                Ok(false)
            }
            (8, _) => {
                is_encrypted = true;
                Ok(false)
            }
            _ => Ok(false),
        })?;
        Ok(Footer { leaves: schema.leaves, is_encrypted, groups, groups_left })
    }

    /// The next group of rows: where the columns `wanted`, in the order of their leaves, have it.
    pub fn group(&mut self, wanted: &[Leaf]) -> io::Result<Option<Group>> {
        let Some(left) = self.groups_left.checked_sub(1) else { return Ok(None) };
        self.groups_left = left;
        let mut group = Group { rows: 0, chunks: Vec::with_capacity(wanted.len()) };
        let mut at = 0;
        self.groups.fields(|from, number, kind| match (number, kind) {
            (1, _) => from.structs(kind, |from| {
                let chunk = Chunk::read(from)?;
                if wanted.get(group.chunks.len()).is_some_and(|leaf| leaf.index == at) {
                    group.chunks.push(chunk);
                }
                at += 1;
                Ok(())
            }),
            (3, Type::Int) => {
                group.rows = from.count()?;
                Ok(true)
            }
            _ => Ok(false),
        })?;
        match group.chunks.len() == wanted.len() {
            true => Ok(Some(group)),
            false => Err(damaged("a row group with missing columns")),
        }
    }
}

/// Rows that lie together.
pub(super) struct Group {
    pub rows: u64,
    pub chunks: Vec<Chunk>,
}

/// The pages of a column in a group of rows.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Chunk {
    pub codec: i64,
    /// Bytes of the file, `from` up to `to`.
    pub from: u64,
    pub to: u64,
}

impl Chunk {
    fn read(from: &mut Compact<'_>) -> io::Result<Chunk> {
        let mut chunk = Chunk::default();
        let mut is_elsewhere = false;
        from.fields(|from, number, kind| match (number, kind) {
            (1, Type::Binary) => {
                is_elsewhere = !from.binary()?.is_empty();
                Ok(true)
            }
            (3, Type::Struct) => {
                chunk = Chunk::read_metadata(from)?;
                Ok(true)
            }
            _ => Ok(false),
        })?;
        match is_elsewhere {
            true => Err(super::unsupported("Parquet with columns in other files")),
            false => Ok(chunk),
        }
    }

    fn read_metadata(from: &mut Compact<'_>) -> io::Result<Chunk> {
        let (mut codec, mut bytes, mut data, mut dictionary) = (0, 0, 0, 0);
        from.fields(|from, number, kind| {
            match (number, kind) {
                (4, Type::Int) => codec = from.int()?,
                (7, Type::Int) => bytes = from.count()?,
                (9, Type::Int) => data = from.count()?,
                (11, Type::Int) => dictionary = from.count()?,
                _ => return Ok(false),
            }
            Ok(true)
        })?;
        // Some writers say 0 for a dictionary that is not there.
        let start = if (1..data).contains(&dictionary) { dictionary } else { data };
        let to =
            start.checked_add(bytes).ok_or_else(|| damaged("pages beyond the end of the file"))?;
        Ok(Chunk { codec, from: start, to })
    }
}
