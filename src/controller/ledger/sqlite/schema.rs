//! The schema, as migrations that only ever go forward; `PRAGMA user_version` counts those that were applied.

/// Each migration once, in order; never changed after a release, only added to.
///
/// `packs.state`: 0 pending, 1 live, 2 condemned, 3 quarantined, 4 deleted. `sessions.kind`: 0 write, 1 read;
/// `sessions.state`: 0 open, 1 committed, 2 ended. `packs.condemned_by` is the highest session number at the
/// condemnation: numbers order sessions and condemnations without any clock. `sessions.owner` is the mark of the process
/// that the session ends with; `sessions.answer` what its commit was answered (JSON), kept until `expires_at`.
/// `chunks.key` and `chunks.rest` are the two parts of a digest (`index.rs`); a chunk may stand there for a pack that has
/// no row any more, and then counts as missing. `meta` has `needs_rebuild` while the ledger stands beside packs that it does not know.
pub(super) const MIGRATIONS: &[&str] = &["
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE tenants (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
CREATE TABLE scopes (id INTEGER PRIMARY KEY, tenant INTEGER NOT NULL, name TEXT NOT NULL, UNIQUE (tenant, name));
CREATE TABLE builds (
  id INTEGER PRIMARY KEY, scope INTEGER NOT NULL, project TEXT NOT NULL, build TEXT NOT NULL,
  UNIQUE (scope, project, build));
CREATE TABLE stashes (
  id INTEGER PRIMARY KEY AUTOINCREMENT, build INTEGER NOT NULL, name TEXT NOT NULL, root BLOB NOT NULL,
  entries INTEGER NOT NULL, files INTEGER NOT NULL, directories INTEGER NOT NULL, symlinks INTEGER NOT NULL,
  hard_links INTEGER NOT NULL, bytes INTEGER NOT NULL, committed_at INTEGER NOT NULL, UNIQUE (build, name));
CREATE INDEX stashes_by_root ON stashes (root);
CREATE TABLE packs (
  id INTEGER PRIMARY KEY AUTOINCREMENT, name BLOB NOT NULL UNIQUE, scope INTEGER NOT NULL, state INTEGER NOT NULL,
  len INTEGER NOT NULL, tail_len INTEGER NOT NULL, footer_digest BLOB NOT NULL, has_manifest INTEGER NOT NULL,
  session INTEGER NOT NULL, condemned_by INTEGER, note TEXT);
CREATE INDEX packs_not_live ON packs (state) WHERE state <> 1;
CREATE INDEX packs_pending ON packs (session) WHERE state = 0;
CREATE TABLE chunks (
  key INTEGER PRIMARY KEY, scope INTEGER NOT NULL, pack INTEGER NOT NULL, rest BLOB NOT NULL);
CREATE TABLE displaced_chunks (
  scope INTEGER NOT NULL, digest BLOB NOT NULL, pack INTEGER NOT NULL, PRIMARY KEY (scope, digest)) WITHOUT ROWID;
CREATE TABLE stash_packs (stash INTEGER NOT NULL, pack INTEGER NOT NULL, PRIMARY KEY (stash, pack)) WITHOUT ROWID;
CREATE INDEX stash_packs_by_pack ON stash_packs (pack);
CREATE TABLE page_packs (
  scope INTEGER NOT NULL, page BLOB NOT NULL, pack INTEGER NOT NULL, PRIMARY KEY (scope, page, pack)) WITHOUT ROWID;
CREATE INDEX page_packs_by_pack ON page_packs (pack);
CREATE TABLE sessions (
  id INTEGER PRIMARY KEY AUTOINCREMENT, kind INTEGER NOT NULL, state INTEGER NOT NULL, scope INTEGER NOT NULL,
  project TEXT NOT NULL, build TEXT NOT NULL, name TEXT NOT NULL, parent BLOB, expires_at INTEGER NOT NULL,
  root BLOB, owner TEXT, answer TEXT);
CREATE INDEX sessions_open ON sessions (expires_at) WHERE state = 0;
CREATE TABLE pins (session INTEGER NOT NULL, pack INTEGER NOT NULL, PRIMARY KEY (session, pack)) WITHOUT ROWID;
CREATE INDEX pins_by_pack ON pins (pack);
INSERT INTO meta VALUES ('identity', lower(hex(randomblob(16))));
INSERT INTO tenants VALUES (1, 'local');
INSERT INTO scopes VALUES (1, 1, 'local');
"];
