//! The schema, as migrations that only ever go forward; `PRAGMA user_version` counts those that were applied.

/// Each migration once, in order; never changed after a release, only added to.
///
/// `packs.state`: 0 pending, 1 live, 2 condemned, 3 quarantined, 4 deleted. `sessions.kind`: 0 write, 1 read;
/// `sessions.state`: 0 open, 1 committed, 2 ended. `packs.condemned_by` is the highest session number at the
/// condemnation: numbers order sessions and condemnations without any clock. `sessions.owner` is the mark of the process
/// that the session ends with; `sessions.answer` what its commit was answered (JSON), kept until `expires_at`.
/// `chunks.key` and `chunks.rest` are the two parts of a digest (`index.rs`); a chunk may stand there for a pack that has
/// no row any more, and then counts as missing. `blobs.state`: 0 pending, 1 live, 2 deleted; `blobs.verified` whether its
/// SHA-256 was checked here; `blobs.touched_at` when its upload last moved. `artifacts.state`: 0 new, 1 error, 2 finished,
/// 3 deleted, 4 expired. Builds are ordered by their numbers, which ascend; `builds.created_at` is for people.
/// `page_packs` has a page (or a chunk list) with all the packs that it needs, or nothing of it: versions 1 and 2 left some of them behind
/// when another went, so the third migration forgets what they remember. A page that is stored as a patch stands there under a digest of both. `stashes.patches` is the
/// list of a stash's patches, a chunk as its root is. `meta` has `needs_rebuild` while the ledger stands beside packs that it does not know.
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
", "
ALTER TABLE builds ADD COLUMN branch TEXT;
ALTER TABLE builds ADD COLUMN revision TEXT;
ALTER TABLE builds ADD COLUMN number TEXT;
ALTER TABLE builds ADD COLUMN created_at INTEGER NOT NULL DEFAULT 0;
CREATE INDEX builds_by_project ON builds (project, id);
CREATE TABLE jobs (
  id INTEGER PRIMARY KEY, build INTEGER NOT NULL, job TEXT NOT NULL, step TEXT, label TEXT, attempt INTEGER NOT NULL,
  shard TEXT);
CREATE UNIQUE INDEX jobs_by_name ON jobs (build, job, attempt, coalesce(shard, ''));
CREATE TABLE blobs (
  id INTEGER PRIMARY KEY AUTOINCREMENT, name BLOB NOT NULL UNIQUE, scope INTEGER NOT NULL, state INTEGER NOT NULL,
  verified INTEGER NOT NULL DEFAULT 0, len INTEGER NOT NULL, sha1 BLOB NOT NULL, sha256 BLOB NOT NULL, blake3 BLOB,
  upload TEXT, touched_at INTEGER NOT NULL);
CREATE INDEX blobs_by_content ON blobs (sha256, len) WHERE state = 1;
CREATE INDEX blobs_not_live ON blobs (state) WHERE state <> 1;
CREATE TABLE artifacts (
  id INTEGER PRIMARY KEY AUTOINCREMENT, uuid TEXT NOT NULL UNIQUE, build INTEGER NOT NULL, job INTEGER NOT NULL,
  key TEXT NOT NULL, path TEXT NOT NULL, absolute_path TEXT, mode INTEGER, modified INTEGER, link TEXT,
  content_type TEXT NOT NULL, len INTEGER NOT NULL, sha1 BLOB NOT NULL, sha256 BLOB NOT NULL, blake3 BLOB,
  state INTEGER NOT NULL, why TEXT, created_at INTEGER NOT NULL, keep_until INTEGER, blob INTEGER);
CREATE UNIQUE INDEX artifacts_by_key ON artifacts (job, key, path, sha256) WHERE state IN (0, 2);
CREATE INDEX artifacts_by_path ON artifacts (build, path, id);
CREATE INDEX artifacts_by_blob ON artifacts (blob) WHERE blob IS NOT NULL AND state IN (0, 2);
CREATE INDEX artifacts_new ON artifacts (build) WHERE state = 0;
CREATE INDEX artifacts_kept ON artifacts (keep_until) WHERE keep_until IS NOT NULL AND state IN (0, 2);
CREATE INDEX sessions_of_builds ON sessions (scope, project, build) WHERE state = 0 AND kind = 0;
", "
DELETE FROM page_packs;
", "
ALTER TABLE stashes ADD COLUMN patches BLOB;
CREATE INDEX stashes_by_patches ON stashes (patches) WHERE patches IS NOT NULL;
"];
