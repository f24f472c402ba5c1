//! What travels: an input and a snapshot of the wanted size, different for each client and tick.

/// What snapshots are copied from.
pub(crate) struct Template(Vec<u8>);

impl Template {
    pub(crate) fn new(len: usize) -> Self {
        Self((0..len).map(|at| (at * 31 + 7) as u8).collect())
    }

    /// Writes what `client` is told, or says, at `tick`, and answers its length.
    pub(crate) fn write(&self, room: &mut [u8], client: usize, tick: u64) -> usize {
        let room = &mut room[..self.0.len()];
        room.copy_from_slice(&self.0);
        room[..4].copy_from_slice(&(client as u32).to_le_bytes());
        room[4..8].copy_from_slice(&(tick as u32).to_le_bytes());
        self.0.len()
    }

    pub(crate) fn to_vec(&self, client: usize, tick: u64) -> Vec<u8> {
        let mut bytes = vec![0; self.0.len()];
        self.write(&mut bytes, client, tick);
        bytes
    }
}

/// The client whose bytes these are.
pub(crate) fn client_of(bytes: &[u8]) -> Option<usize> {
    let number = bytes.first_chunk::<4>()?;
    Some(u32::from_le_bytes(*number) as usize)
}
