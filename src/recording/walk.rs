//! Where the blocks of a recording are: from the index at its end, or by walking from head to head.
//!
//! A recorder that was killed leaves no index, and perhaps a block that is not whole. Whatever else is wrong is damage, and
//! said to be.

use std::io::{self, Read, Seek, SeekFrom};

use crate::game::recording::{BlockHead, FormatError, Index, IndexEntry, checksum};

/// How a recording ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// It was closed.
    Clean,
    /// It was not: the recorder was killed, or the file was cut off.
    Torn {
        /// Where what can be read ends, in bytes from the start.
        at: u64,
        /// Bytes behind that, of a block that is not whole: none when the last block is.
        bytes: u64,
    },
}

/// A part of a recording that is not what was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Damage {
    /// Where it begins, in bytes from the start.
    pub at: u64,
    /// How long it is; 0: something was cut out.
    pub bytes: u64,
}

/// What was found.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) index: Index,
    pub(super) ending: Ending,
    pub(super) damage: Vec<Damage>,
}

/// Reads so many bytes at a place.
pub(super) fn read_at(source: &mut (impl Read + Seek), at: u64, into: &mut [u8]) -> io::Result<()> {
    source.seek(SeekFrom::Start(at))?;
    source.read_exact(into)
}

/// Finds the blocks between the header and the end of a file of `len` bytes.
pub(super) fn find(source: &mut (impl Read + Seek), header: u64, len: u64) -> io::Result<Found> {
    let Some(at) = footer(source, header, len)? else {
        return walk(source, header, len, len);
    };
    // The footer's length was held against the file's.
    let mut bytes = vec![0; (len - at) as usize - Index::SUFFIX];
    read_at(source, at, &mut bytes)?;
    let index = Index::from_bytes(&bytes).ok();
    if let Some(index) = index
        && fits(source, &index, header, at)?
    {
        return Ok(Found {
            index,
            ending: Ending::Clean,
            damage: Vec::new(),
        });
    }
    // Closed, and damaged since: the blocks may be whole.
    let mut found = walk(source, header, at, len)?;
    if let Ending::Torn { at, bytes } = found.ending {
        found.damage.push(Damage { at, bytes });
    }
    found.ending = Ending::Clean;
    Ok(found)
}

/// Where the footer of a recording that was closed begins.
fn footer(source: &mut (impl Read + Seek), header: u64, len: u64) -> io::Result<Option<u64>> {
    let suffix_len = Index::SUFFIX as u64;
    let mut suffix = [0; Index::SUFFIX];
    let Some(suffix_at) = len.checked_sub(suffix_len).filter(|at| *at >= header) else {
        return Ok(None);
    };
    read_at(source, suffix_at, &mut suffix)?;
    let index_len = Index::len_from(&suffix).map(|len| len as u64);
    let at = index_len.and_then(|index_len| suffix_at.checked_sub(index_len));
    Ok(at.filter(|at| *at >= header))
}

/// Whether an index is that of the blocks between header and footer: the first begins where they do, and the last ends there.
fn fits(
    source: &mut (impl Read + Seek),
    index: &Index,
    header: u64,
    footer: u64,
) -> io::Result<bool> {
    let (Some(first), Some(last)) = (index.entries.first(), index.entries.last()) else {
        return Ok(header == footer);
    };
    if first.offset != header || last.offset.saturating_add(BlockHead::LEN as u64) > footer {
        return Ok(false);
    }
    let head = read_head(source, last.offset)?;
    Ok(head.is_ok_and(|head| last.is_of(&head) && last.offset + head.size() == footer))
}

/// Walks from head to head, up to `end`; the file has `len` bytes.
fn walk(source: &mut (impl Read + Seek), header: u64, end: u64, len: u64) -> io::Result<Found> {
    let mut walker = Walker {
        index: Index::default(),
        damage: Vec::new(),
        at: header,
        number: 0,
    };
    while let Some((offset, head)) = find_head(source, walker.at, end)? {
        if offset + head.size() > end {
            // The last one, which is not whole.
            walker.skip_to(offset);
            break;
        }
        walker.take(offset, &head);
    }
    let mut at = walker.at;
    if end == len
        && let Some(last) = walker.index.entries.last().copied()
        && last.offset + BlockHead::LEN as u64 <= at
        && !is_whole(source, last.offset)?
    {
        // The power went before the last block reached the disk.
        at = last.offset;
        walker.index.entries.pop();
    }
    let bytes = len - at;
    Ok(Found {
        index: walker.index,
        ending: Ending::Torn { at, bytes },
        damage: walker.damage,
    })
}

/// Where a walk has come to.
struct Walker {
    index: Index,
    damage: Vec<Damage>,
    at: u64,
    /// The number that the next block should have.
    number: u32,
}

impl Walker {
    fn take(&mut self, offset: u64, head: &BlockHead) {
        if offset == self.at && head.number != self.number {
            let at = offset;
            self.damage.push(Damage { at, bytes: 0 });
        }
        self.skip_to(offset);
        self.at = offset + head.size();
        self.number = head.number.saturating_add(1);
        if self.index.push(IndexEntry::new(offset, head)).is_err() {
            let (at, bytes) = (offset, head.size());
            self.damage.push(Damage { at, bytes });
        }
    }

    /// What is in between is nothing that was written.
    fn skip_to(&mut self, offset: u64) {
        let (at, bytes) = (self.at, offset - self.at);
        if bytes > 0 {
            self.damage.push(Damage { at, bytes });
        }
        self.at = offset;
    }
}

/// The next head at or behind `from`, whatever is in between.
fn find_head(
    source: &mut (impl Read + Seek),
    from: u64,
    end: u64,
) -> io::Result<Option<(u64, BlockHead)>> {
    /// Bytes that are looked through at once.
    const CHUNK: usize = 64 << 10;
    let head_len = BlockHead::LEN as u64;
    let mut chunk = Vec::new();
    let mut at = from;
    while at + head_len <= end {
        // Nearly always the head is where it should be, and the first look is enough.
        let size = if at == from { BlockHead::LEN } else { CHUNK };
        chunk.resize(size.min((end - at) as usize), 0);
        read_at(source, at, &mut chunk)?;
        for (skip, bytes) in chunk.windows(BlockHead::LEN).enumerate() {
            let bytes = bytes.first_chunk::<{ BlockHead::LEN }>();
            if let Some(Ok(head)) = bytes.map(BlockHead::from_bytes) {
                return Ok(Some((at + skip as u64, head)));
            }
        }
        at += chunk.len() as u64 - head_len + 1;
    }
    Ok(None)
}

/// Whether the compressed bytes of a block are those that were written.
fn is_whole(source: &mut (impl Read + Seek), offset: u64) -> io::Result<bool> {
    let head = read_head(source, offset)?;
    let Ok(head) = head else {
        return Ok(false);
    };
    let mut packed = vec![0; head.packed_len as usize];
    read_at(source, offset + BlockHead::LEN as u64, &mut packed)?;
    Ok(checksum(&packed) == head.packed_sum)
}

/// The head at a place.
pub(super) fn read_head(
    source: &mut (impl Read + Seek),
    offset: u64,
) -> io::Result<Result<BlockHead, FormatError>> {
    let mut head = [0; BlockHead::LEN];
    read_at(source, offset, &mut head)?;
    Ok(BlockHead::from_bytes(&head))
}
