//! From the listings of single folders, in the order that threads finished them, to one sorted walk.
//!
//! Each listing is sorted by name, and a folder's listing goes directly behind the folder: that is the manifest's
//! order, and costs one move an entry. Sorting a million full paths instead compares long common prefixes.

use std::iter::Peekable;
use std::vec::IntoIter;

use crate::model::Digest;
use crate::model::progress::Progress;

use super::found::Found;
use super::skipped::Skipped;

/// What one folder (or a part of a wide one) holds.
#[derive(Debug, Default)]
pub(super) struct Listing {
    /// Sorted by name.
    pub(super) entries: Vec<Found>,
    /// The folders among them that have a listing of their own, by index.
    pub(super) links: Vec<Link>,
    /// Listings that stand for this one, which then has no entries itself.
    pub(super) parts: Vec<usize>,
    /// What could not be kept.
    pub(super) skipped: Vec<Skipped>,
    /// Of `entries`; `None` where there are none of its own.
    pub(super) fingerprint: Option<Digest>,
    /// Whether the folder vanished before it could be listed.
    pub(super) gone: bool,
}

/// From a folder's entry to its listing.
#[derive(Clone, Copy, Debug)]
pub(super) struct Link {
    pub(super) index: usize,
    pub(super) listing: usize,
    pub(super) keep: Keep,
}

/// When a folder's entry is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Keep {
    /// It is chosen for itself.
    Always,
    /// Only as the way to something that is chosen.
    IfAnything,
}

/// A listing that is being copied; on a stack of our own, since a tree may be deeper than a thread's stack.
struct Open {
    entries: IntoIter<Found>,
    links: Peekable<IntoIter<Link>>,
    parts: IntoIter<usize>,
    next_index: usize,
    /// The place of its folder's entry, if that is to go unless something follows it.
    doubtful: Option<usize>,
}

impl Open {
    fn new(listing: Listing, doubtful: Option<usize>) -> Self {
        Self {
            entries: listing.entries.into_iter(),
            links: listing.links.into_iter().peekable(),
            parts: listing.parts.into_iter(),
            next_index: 0,
            doubtful,
        }
    }
}

/// All listings in one.
#[derive(Debug, Default)]
pub(super) struct Assembled {
    /// Sorted by path.
    pub(super) found: Vec<Found>,
    /// Sorted by path.
    pub(super) skipped: Vec<Skipped>,
    /// Of the listings, in the order of their folders.
    pub(super) fingerprints: Vec<Digest>,
}

/// Puts the listings in order, the first being the workspace's; drops folders that vanished or turned out empty.
pub(super) fn assemble(mut listings: Vec<Option<Listing>>, progress: &Progress) -> Assembled {
    let entries = listings.iter().flatten().map(|listing| listing.entries.len()).sum();
    let (mut found, mut skipped) = (Vec::with_capacity(entries), Vec::new());
    let mut fingerprints = Vec::with_capacity(listings.len());
    let mut take = |id: usize| {
        let mut listing = listings.get_mut(id).and_then(Option::take).unwrap_or_default();
        skipped.append(&mut listing.skipped);
        fingerprints.extend(listing.fingerprint);
        listing
    };
    let mut stack = vec![Open::new(take(0), None)];
    while let Some(open) = stack.last_mut() {
        if let Some(part) = open.parts.next() {
            stack.push(Open::new(take(part), None));
            continue;
        }
        let Some(entry) = open.entries.next() else {
            if let Some(place) = open.doubtful {
                match found.len() == place + 1 {
                    true => found.truncate(place),
                    false => progress.found_entries.add(1),
                }
            }
            stack.pop();
            continue;
        };
        let index = open.next_index;
        open.next_index += 1;
        let place = found.len();
        found.push(entry);
        let Some(link) = open.links.next_if(|link| link.index == index) else { continue };
        let listing = take(link.listing);
        if listing.gone {
            found.truncate(place);
        } else {
            stack.push(Open::new(listing, (link.keep == Keep::IfAnything).then_some(place)));
        }
    }
    skipped.sort_by(|a, b| a.path.0.cmp(&b.path.0));
    Assembled { found, skipped, fingerprints }
}
