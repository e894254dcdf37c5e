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

/// What moves packs by their signed URLs. Clones share connections and what was learned of the link.
#[derive(Clone, Debug)]
pub struct Transport {
    http: Option<Client>,
    puts: Arc<Gate>,
    gets: Arc<Gate>,
}

impl Transport {
    /// `file:` URLs alone.
    pub fn files() -> Self {
        Self::new(None, FIRST_LIMIT, FIRST_LIMIT)
    }

    /// `file:`, `http:` and `https:` URLs.
    pub fn over(http: Client) -> Self {
        Self::new(Some(http), MOST_PUTS, MOST_GETS)
    }

    fn new(http: Option<Client>, puts: u32, gets: u32) -> Self {
        let puts = Gate::new(puts, u64::from(puts) * PACK_BYTES);
        Self { http, puts: Arc::new(puts), gets: Arc::new(Gate::new(gets, MOST_GET_BYTES)) }
    }

    /// The client, unless packs are files.
    pub fn http(&self) -> Option<&Client> {
        self.http.as_ref()
    }

    /// How many packs may be sent at once.
    pub fn puts(&self) -> &Gate {
        &self.puts
    }

    /// How many ranges may be read at once.
    pub fn gets(&self) -> &Gate {
        &self.gets
    }
}
