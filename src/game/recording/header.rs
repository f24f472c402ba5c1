//! The first bytes of a recording: what the world is made of and how fast it goes.

use std::sync::Arc;

use super::schema::{put_schema, schema};
use super::{FORMAT_VERSION, FormatError, HEADER_BYTES_MAX, checksum};
use crate::proto::snapshot::Schema;
use crate::proto::wire::ByteReader;
use crate::time::TickRate;

const MAGIC: [u8; 8] = *b"tickwrec";

/// What a recording is a recording of.
#[derive(Debug, Clone, PartialEq)]
pub struct Header {
    /// What the world is made of.
    pub schema: Arc<Schema>,
    /// [`Schema::hash`] as the program that recorded it computed it. A program that codes the same description in another
    /// way computes another one, and can read the recording all the same.
    pub schema_hash: u64,
    /// Ticks a second.
    pub tick_rate: TickRate,
    /// Ticks from one frame to the next.
    pub snapshot_every: u32,
}

impl Header {
    /// Bytes from which the length of a header can be told.
    pub const PREFIX: usize = 16;

    /// The header of a new recording.
    #[must_use]
    pub fn new(schema: Arc<Schema>, tick_rate: TickRate, snapshot_every: u32) -> Self {
        Self {
            schema_hash: schema.hash(),
            schema,
            tick_rate,
            snapshot_every,
        }
    }

    /// All of it as bytes.
    ///
    /// # Errors
    ///
    /// [`FormatError::TooLarge`] when the names of the schema are longer than any recording takes;
    /// [`FormatError::Rates`].
    pub fn to_bytes(&self) -> Result<Vec<u8>, FormatError> {
        self.check()?;
        let mut description = Vec::new();
        description.extend_from_slice(&self.tick_rate.hz().to_le_bytes());
        description.extend_from_slice(&self.snapshot_every.to_le_bytes());
        description.extend_from_slice(&self.schema_hash.to_le_bytes());
        put_schema(&mut description, &self.schema);
        let len = check_len(description.len() as u64)? as u32;

        let mut bytes = MAGIC.to_vec();
        bytes.extend_from_slice(&FORMAT_VERSION.to_le_bytes());
        bytes.extend_from_slice(&len.to_le_bytes());
        bytes.extend_from_slice(&description);
        bytes.extend_from_slice(&checksum(&bytes).to_le_bytes());
        Ok(bytes)
    }

    /// How many bytes a header has in all, from its first [`Self::PREFIX`].
    ///
    /// # Errors
    ///
    /// [`FormatError::NotARecording`], [`FormatError::Version`], [`FormatError::TooLarge`].
    pub fn len_from(prefix: &[u8; Self::PREFIX]) -> Result<usize, FormatError> {
        let mut bytes = ByteReader::new(prefix);
        if bytes.array() != Some(MAGIC) {
            return Err(FormatError::NotARecording);
        }
        let mut number = || bytes.u32().ok_or(FormatError::Cut);
        let version = number()?;
        if version != FORMAT_VERSION {
            return Err(FormatError::Version(version));
        }
        Ok(Self::PREFIX + check_len(number()?.into())? + size_of::<u64>())
    }

    /// Reads a header of the length that [`Self::len_from`] told.
    ///
    /// # Errors
    ///
    /// Whatever is wrong with it.
    pub fn from_bytes(header: &[u8]) -> Result<Self, FormatError> {
        let (body, sum) = header
            .split_last_chunk::<{ size_of::<u64>() }>()
            .ok_or(FormatError::Cut)?;
        let (prefix, description) = body
            .split_first_chunk::<{ Self::PREFIX }>()
            .ok_or(FormatError::Cut)?;
        if Self::len_from(prefix)? != header.len() {
            return Err(FormatError::Cut);
        }
        if checksum(body) != u64::from_le_bytes(*sum) {
            return Err(FormatError::Checksum("header"));
        }
        let mut bytes = ByteReader::new(description);
        let hz = bytes.u16().ok_or(FormatError::Cut)?;
        let every = bytes.u32().ok_or(FormatError::Cut)?;
        let header = Self {
            schema_hash: bytes.u64().ok_or(FormatError::Cut)?,
            schema: Arc::new(schema(&mut bytes)?),
            tick_rate: TickRate::new(hz).ok_or(FormatError::Rates { hz, every })?,
            snapshot_every: every,
        };
        match bytes.remaining() {
            0 => header.check().map(|()| header),
            more => Err(FormatError::TooMany(more)),
        }
    }

    fn check(&self) -> Result<(), FormatError> {
        let (hz, every) = (self.tick_rate.hz(), self.snapshot_every);
        if every == 0 {
            return Err(FormatError::Rates { hz, every });
        }
        Ok(())
    }
}

fn check_len(size: u64) -> Result<usize, FormatError> {
    let max = HEADER_BYTES_MAX;
    usize::try_from(size)
        .ok()
        .filter(|len| *len <= max)
        .ok_or(FormatError::TooLarge {
            what: "description of the world",
            size,
            max: max as u64,
        })
}
