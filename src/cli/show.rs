//! `pannier show NAME [PATH…]`

use crate::agent::OpenStash;
use crate::model::entry::permissions;
use crate::model::{Entry, EntryKind, EntryPath};
use crate::protocol::StashInfo;

use super::args::{Global, ShowArgs};
use super::exit::Exit;
use super::unstash::entry_path;
use super::{Outcome, ui};

/// What `--json` tells of an entry.
#[derive(serde::Serialize)]
struct Shown {
    path: String,
    kind: &'static str,
    mode: String,
    bytes: u64,
    mtime_seconds: i64,
    mtime_nanoseconds: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<String>,
}

pub(super) fn run(global: &Global, args: &ShowArgs) -> Outcome {
    let remote = global.connect()?;
    let stash = OpenStash::open(remote.as_ref(), &global.build_id()?, &args.name)?;
    let paths = args.paths.iter().map(|path| entry_path(path)).collect::<Result<Vec<EntryPath>, _>>()?;
    let wants_entries = args.all || !paths.is_empty();
    let entries = match wants_entries {
        true => stash.entries(&stash.root()?, &paths)?,
        false => Vec::new(),
    };
    if global.json {
        let shown: Vec<Shown> = entries.iter().map(shown).collect();
        ui::print_json(&serde_json::json!({ "stash": stash.info, "entries": shown }))?;
    } else if wants_entries {
        ui::print(&entries.iter().map(line).collect::<String>())?;
    } else {
        ui::print(&about(&stash.info))?;
    }
    Ok(Exit::Done)
}

fn about(info: &StashInfo) -> String {
    let totals = info.totals;
    let other = totals.entries - totals.files - totals.directories - totals.symlinks - totals.hard_links;
    let kinds = [
        (totals.files, "file"),
        (totals.hard_links, "hard link"),
        (totals.directories, "folder"),
        (totals.symlinks, "symlink"),
        (other, "fifo"),
    ];
    let kinds: Vec<String> = kinds
        .into_iter()
        .filter(|(number, _)| *number > 0)
        .map(|(number, noun)| ui::counted(number, noun))
        .collect();
    format!(
        "stash      {}\nbuild      {}\nid         {}\nholds      {}\nsize       {}\nstored in  {}, {}\ncommitted  {}\n",
        info.name,
        info.build,
        info.id,
        if kinds.is_empty() { "nothing".to_owned() } else { kinds.join(", ") },
        ui::bytes(totals.bytes),
        ui::counted(info.packs, "pack"),
        ui::bytes(info.pack_bytes),
        time(info.committed_at, 0),
    )
}

/// One entry as `ls -l` would have it.
fn line(entry: &Entry) -> String {
    let shown = shown(entry);
    let letter = match entry.kind {
        EntryKind::Directory => 'd',
        EntryKind::Symlink { .. } => 'l',
        EntryKind::HardLink { .. } => 'h',
        EntryKind::Fifo => 'p',
        EntryKind::File(_) => '-',
    };
    let target = match (&entry.kind, shown.target) {
        (EntryKind::HardLink { .. }, Some(target)) => format!(" link to {target}"),
        (_, Some(target)) => format!(" -> {target}"),
        _ => String::new(),
    };
    let when = time(shown.mtime_seconds, shown.mtime_nanoseconds);
    format!("{letter}{} {:>12} {when} {}{target}\n", permissions(entry.mode), shown.bytes, shown.path)
}

fn shown(entry: &Entry) -> Shown {
    let printable = |bytes: &[u8]| crate::model::entry_path::Printable(bytes.into()).to_string();
    Shown {
        path: entry.path.to_string(),
        kind: entry.kind.noun(),
        mode: format!("{:04o}", entry.mode),
        bytes: entry.content().map_or(0, |content| content.size),
        mtime_seconds: entry.mtime.secs,
        mtime_nanoseconds: entry.mtime.nanos,
        target: match &entry.kind {
            EntryKind::Symlink { target } => Some(printable(target)),
            EntryKind::HardLink { target } => Some(target.to_string()),
            _ => None,
        },
    }
}

/// `2026-11-23 21:05:00` in UTC; seconds since 1970 where a calendar ends.
pub(super) fn time(secs: i64, nanos: u32) -> String {
    match jiff::Timestamp::new(secs, nanos as i32) {
        Ok(time) => time.strftime("%Y-%m-%d %H:%M:%S").to_string(),
        Err(_) => format!("@{secs}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_utc_and_never_fail() {
        assert_eq!(time(0, 0), "1970-01-01 00:00:00");
        assert_eq!(time(-1, 500_000_000), "1969-12-31 23:59:59");
        assert_eq!(time(i64::MAX, 0), format!("@{}", i64::MAX));
    }
}
