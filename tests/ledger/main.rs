//! What every ledger must do, as one suite that each back end runs: nothing here names a database but this file.
//! Not the controller's rules between ledger and store; those are in `controller_sessions`.
#![allow(clippy::disallowed_methods, reason = "a test that fails says where by itself")]
#![allow(clippy::unwrap_used, reason = "helpers of tests are not in test functions")]

mod artifacts;
mod blobs;
mod browse;
mod commits;
mod index;
mod migration;
mod packs;
mod scene;
mod searches;
mod sessions;
mod stashes;

use pannier::controller::ledger::{Creation, Ledger, LedgerError, SqliteLedger};

/// Every rule on every back end: a rule takes an empty ledger.
macro_rules! conformance {
    ($($room:ident: $($rule:ident),+;)+) => {
        mod sqlite_on_disk {
            $($(#[test]
            fn $rule() {
                let folder = tempfile::tempdir().unwrap();
                super::$room::$rule(&super::on_disk(folder.path()));
            })+)+
        }
        mod sqlite_in_memory {
            $($(#[test]
            fn $rule() {
                super::$room::$rule(&super::SqliteLedger::in_memory().unwrap());
            })+)+
        }
    };
}

conformance! {
    sessions: a_session_lives_as_long_as_its_lease, numbers_of_sessions_ascend, an_ended_session_leaves_nothing,
        a_parent_is_accepted_only_whole, sessions_of_other_scopes_are_not_there, processes_are_remembered;
    index: scopes_do_not_see_each_other, the_first_scope_that_has_a_chunk_wins, what_is_present_is_pinned,
        digests_that_begin_alike_are_told_apart, what_the_index_says_of_forgotten_packs_counts_as_missing,
        pages_lead_to_packs_while_those_are_there,
        a_page_is_not_known_by_some_of_its_packs;
    commits: a_commit_is_all_or_nothing, a_commit_needs_an_open_session_and_its_own_packs,
        a_known_root_is_committed_without_packs, how_a_stash_is_stored_belongs_to_it, a_repeated_commit_has_its_answer,
        a_commit_brings_condemned_packs_back, a_commit_heals_what_was_set_aside;
    packs: a_pack_goes_from_pending_to_deleted, a_sweep_waits_for_pins_and_older_sessions,
        a_dry_run_changes_nothing, a_pack_that_was_set_aside_is_missing_until_it_goes,
        a_mended_stash_needs_its_broken_pack_no_more, a_lost_index_is_made_again;
    artifacts: an_artifact_goes_from_new_to_deleted, the_same_key_names_the_same_artifact,
        a_failed_upload_may_be_tried_again, scopes_do_not_share_artifacts, an_upload_is_known_by_its_first_name,
        jobs_and_builds_learn_and_do_not_forget, folders_are_deleted_whole;
    blobs: content_is_shared_within_what_one_may_read, a_blob_goes_with_its_last_artifact,
        abandoned_uploads_expire, days_end, a_build_is_copied_with_its_artifacts, stashes_are_cleared_alone;
    searches: the_newest_of_a_path_is_found, pages_follow_each_other, steps_and_attempts_are_told_apart,
        the_newest_build_that_fits_is_found,
        a_build_is_found_by_its_number;
    browse: projects_and_builds_are_counted, what_nobody_may_read_is_not_listed, long_lists_come_in_parts, artifacts_count_too;
    stashes: names_are_found_listed_and_forgotten, a_build_is_copied_by_reference, a_reader_holds_its_packs,
        a_reader_of_what_was_replaced_gets_what_is;
}

fn on_disk(folder: &std::path::Path) -> SqliteLedger {
    SqliteLedger::open(&folder.join("ledger.sqlite"), || Creation::New).unwrap()
}

/// Proves that what one value wrote is there for the next, that a newer schema is refused, that a ledger is not made
/// where it may not be, and that one made beside packs knows it until it was rebuilt.
#[test]
fn a_ledger_on_disk_is_opened_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger.sqlite");
    assert!(matches!(SqliteLedger::open(&path, || Creation::Refuse), Err(LedgerError::Missing(_))));
    let ledger = SqliteLedger::open(&path, || Creation::BesidePacks).unwrap();
    let (identity, scope) = (ledger.identity().unwrap(), ledger.scope("t", "s").unwrap());
    assert!(ledger.needs_rebuild().unwrap());
    drop(ledger);
    let ledger = SqliteLedger::open(&path, || Creation::Refuse).unwrap();
    assert_eq!((ledger.identity().unwrap(), ledger.scope("t", "s").unwrap()), (identity, scope));
    ledger.rebuilt().unwrap();
    ledger.check().unwrap();
    drop(ledger);
    let ledger = SqliteLedger::open(&path, || Creation::Refuse).unwrap();
    assert!(!ledger.needs_rebuild().unwrap());
    drop(ledger);
    rusqlite::Connection::open(&path).unwrap().pragma_update(None, "user_version", 1000).unwrap();
    let error = SqliteLedger::open(&path, || Creation::New).err().unwrap();
    assert!(matches!(error, LedgerError::NewerSchema { found: 1000, .. }), "{error}");
}

/// Proves that reads do not queue behind a write, even another program's: one is held open all the while.
#[test]
fn reads_go_on_beside_a_write() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = on_disk(folder.path());
    let scene = scene::Scene::new(&ledger);
    let stashed = scene.stash("x", "abc");
    let mut other = rusqlite::Connection::open(folder.path().join("ledger.sqlite")).unwrap();
    let write = other.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate).unwrap();
    write.execute("DELETE FROM stashes", []).unwrap();
    std::thread::scope(|scope| {
        // This one waits for the other program, and holds the writer of our own while it does.
        let waiting = scope.spawn(|| scene.remove("x"));
        let reading = || {
            let scene = scene::Scene::new(&ledger);
            assert_eq!(scene.locate("abd"), [Some(stashed.pack), Some(stashed.pack), None]);
            assert_eq!(ledger.all_stashes().unwrap().len(), 1);
        };
        // More threads than there are connections.
        let readers: Vec<_> = (0..24).map(|_| scope.spawn(reading)).collect();
        readers.into_iter().for_each(|reader| reader.join().unwrap());
        assert!(!waiting.is_finished(), "the write was still under way");
        drop(write);
        assert!(waiting.join().unwrap());
    });
}
