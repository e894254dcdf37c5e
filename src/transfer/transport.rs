//! How packs move: by the file system alone, or by HTTP as well; and how many at once. Not which packs, and not when.

use std::sync::Arc;

use crate::http::Client;
use crate::model::limits::PACK_BYTES;

use super::gate::{FIRST_LIMIT, Gate};

/// PUTs at once over HTTP; each holds a whole pack in memory.
const MOST_PUTS: u32 = 4;
/// GETs at once over HTTP.
const MOST_GETS: u32 = 8;
/// Bytes of all GETs at once: four of the longest.
const MOST_GET_BYTES: u64 = 64 << 20;

/// Artifacts sent or fetched at once: most are small, and wait for an answer more than for the link.
const MOST_BLOBS: u32 = 32;
/// So many of them to begin with.
const FIRST_BLOBS: u32 = 8;
/// The most where they are files of this machine.
const MOST_BLOB_FILES: u32 = 8;
/// Bytes in memory of all artifacts that are sent, or fetched, at once.
const MOST_BLOB_BYTES: u64 = 64 << 20;

/// What moves packs by their signed URLs. Clones share connections and what was learned of the link.
#[derive(Clone, Debug)]
pub struct Transport {
    http: Option<Client>,
    puts: Arc<Gate>,
    gets: Arc<Gate>,
    most_blobs: u32,
}

impl Transport {
    /// `file:` URLs alone.
    pub fn files() -> Self {
        Self::new(None, FIRST_LIMIT, FIRST_LIMIT, MOST_BLOB_FILES)
    }

    /// `file:`, `http:` and `https:` URLs.
    pub fn over(http: Client) -> Self {
        Self::new(Some(http), MOST_PUTS, MOST_GETS, MOST_BLOBS)
    }

    fn new(http: Option<Client>, puts: u32, gets: u32, most_blobs: u32) -> Self {
        let puts = Gate::new(puts, u64::from(puts) * PACK_BYTES);
        Self { http, puts: Arc::new(puts), gets: Arc::new(Gate::new(gets, MOST_GET_BYTES)), most_blobs }
    }

    /// The client, unless packs are files.
    pub fn http(&self) -> Option<&Client> {
        self.http.as_ref()
    }

    /// How many packs may be sent at once.
    pub fn puts(&self) -> &Gate {
        &self.puts
    }

    /// How many artifacts may be sent, or fetched, at once by one run; at most `most`, if somebody says so.
    pub fn blobs(&self, most: Option<u32>) -> Gate {
        Gate::beginning(FIRST_BLOBS, most.unwrap_or(self.most_blobs), MOST_BLOB_BYTES)
    }

    /// How many ranges may be read at once.
    pub fn gets(&self) -> &Gate {
        &self.gets
    }
}
