//! What can be typed. The names are settled in the design; nothing here acts.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::model::Secret;
use crate::protocol::StashName;

use super::artifact::ArtifactArgs;
use super::exit::HELP;

const LONG_ABOUT: &str = "\
Stash a CI workspace between pipeline steps and move only what changed.

A stash keeps everything a folder holds: modes, nanosecond times, links, empty folders, any file name. It is a \
tarball (see `pannier export`), but what is stored is its content in chunks, each once.";

/// Stash a CI workspace between pipeline steps and move only what changed
#[derive(Debug, Parser)]
#[command(name = "pannier", version, about, long_about = LONG_ABOUT, after_long_help = HELP, max_term_width = 100)]
pub(super) struct Cli {
    #[command(flatten)]
    pub(super) global: Global,
    #[command(subcommand)]
    pub(super) command: Command,
}

/// Flags of every command.
#[derive(Debug, Args)]
#[command(next_help_heading = "Everywhere")]
pub(super) struct Global {
    /// Controller (https://…), or folder that holds a ledger and a store [default: pannier in the user's data folder]
    #[arg(long, global = true, env = "PANNIER_URL", value_name = "URL")]
    pub(super) url: Option<String>,
    /// Token for the controller; better given by its variable, which other users do not see
    #[arg(long, global = true, env = "PANNIER_TOKEN", value_name = "TOKEN", hide_env_values = true,
          value_parser = secret)]
    pub(super) token: Option<Secret>,
    /// Certificates (PEM) to trust beside the system's
    #[arg(long, global = true, env = "PANNIER_CA_FILE", value_name = "FILE")]
    pub(super) ca_file: Option<PathBuf>,
    #[command(flatten)]
    pub(super) identity: IdentityArgs,
    /// Folder for what is remembered of workspaces [default: pannier in the user's cache folder]
    #[arg(long, global = true, env = "PANNIER_CACHE_DIR", value_name = "FOLDER")]
    pub(super) cache_dir: Option<PathBuf>,
    /// Threads for reading, compressing and writing [default: one for each core]
    #[arg(long, global = true, env = "PANNIER_THREADS", value_name = "N")]
    pub(super) threads: Option<std::num::NonZero<usize>>,
    /// Print one JSON object on stdout instead of text
    #[arg(long, global = true)]
    pub(super) json: bool,
    /// Print nothing but errors and the data that was asked for
    #[arg(long, short, global = true)]
    pub(super) quiet: bool,
}

/// Whose stash it is. The variables are read beside those of CI systems (`identity`), where an empty one is none.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Everywhere")]
pub(super) struct IdentityArgs {
    /// Project that the build belongs to [env: PANNIER_PROJECT] [default: as CI says; else local]
    #[arg(long, global = true)]
    pub(super) project: Option<String>,
    /// Build that the stash belongs to [env: PANNIER_BUILD] [default: as CI says; else local]
    #[arg(long, global = true)]
    pub(super) build: Option<String>,
    /// Step of the pipeline [env: PANNIER_STEP] [default: as CI says]
    #[arg(long, global = true, hide_short_help = true)]
    pub(super) step: Option<String>,
    /// Job that runs the step [env: PANNIER_JOB] [default: as CI says]
    #[arg(long, global = true, hide_short_help = true)]
    pub(super) job: Option<String>,
    /// Attempt at the job [env: PANNIER_ATTEMPT] [default: as CI says]
    #[arg(long, global = true, hide_short_help = true)]
    pub(super) attempt: Option<String>,
    /// Part of a parallel step [env: PANNIER_SHARD] [default: as CI says]
    #[arg(long, global = true, hide_short_help = true)]
    pub(super) shard: Option<String>,
    /// Branch that is built [env: PANNIER_BRANCH] [default: as CI says]
    #[arg(long, global = true, hide_short_help = true)]
    pub(super) branch: Option<String>,
    /// Commit that is built [env: PANNIER_COMMIT] [default: as CI says]
    #[arg(long, global = true, hide_short_help = true)]
    pub(super) commit: Option<String>,
}

/// Never fails: what a token says only its controller knows.
fn secret(text: &str) -> Result<Secret, std::convert::Infallible> {
    Ok(Secret::new(text))
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Stash a folder, sending only what the store does not have
    #[command(after_help = HELP)]
    Stash(StashArgs),
    /// Give a stash back to a folder, leaving alone what is there already
    #[command(after_help = HELP)]
    Unstash(UnstashArgs),
    /// Send, fetch and find artifacts: single files of a build
    Artifact(ArtifactArgs),
    /// List the stashes of a build
    #[command(after_help = HELP, visible_alias = "ls")]
    List(ListArgs),
    /// Show a stash, or the entries in it
    #[command(after_help = HELP)]
    Show(ShowArgs),
    /// Forget a stash; `pannier gc` then frees what nothing else uses
    #[command(after_help = HELP)]
    Rm(RmArgs),
    /// Give another build all stashes of a build, by reference
    #[command(after_help = HELP)]
    Copy(CopyArgs),
    /// Write a stash as a tarball, the same bytes every time
    #[command(after_help = HELP)]
    Export(ExportArgs),
    /// Stash what a tarball holds
    #[command(after_help = HELP)]
    Import(ImportArgs),
    /// Read everything in the store again and name what is damaged
    #[command(after_help = HELP)]
    Verify(VerifyArgs),
    /// Delete what no stash refers to
    #[command(after_help = HELP)]
    Gc(GcArgs),
    /// Run a controller: it holds the ledger and the store's credentials, and agents talk to it
    #[command(after_help = HELP)]
    Serve(ServeArgs),
    /// Make a token for agents or people
    #[command(after_help = HELP)]
    Token(TokenArgs),
    /// Print a completion script for a shell
    Completions(CompletionsArgs),
}

/// Flags of `stash`.
#[derive(Debug, Args)]
pub(super) struct StashArgs {
    /// Name of the stash; a stash of that name is replaced
    pub(super) name: StashName,
    /// Folder to stash
    #[arg(short = 'C', long = "directory", default_value = ".", value_name = "DIR")]
    pub(super) folder: PathBuf,
    /// Ant patterns of what to stash, split on commas [default: everything]
    #[arg(long, value_name = "PATTERNS", help_heading = "What to stash")]
    pub(super) includes: Vec<String>,
    /// Ant patterns of what to leave out, split on commas
    #[arg(long, value_name = "PATTERNS", help_heading = "What to stash")]
    pub(super) excludes: Vec<String>,
    /// Leave out what Ant and Jenkins leave out: .git, .svn, *~ and the like
    #[arg(long, help_heading = "What to stash")]
    pub(super) default_excludes: bool,
    /// Leave out what the workspace's .gitignore files say
    #[arg(long, help_heading = "What to stash")]
    pub(super) gitignore: bool,
    /// Make a stash even if there is nothing to put in it
    #[arg(long, help_heading = "What to stash")]
    pub(super) allow_empty: bool,
    /// Print what would be stashed, and stash nothing
    #[arg(long, short = 'n', help_heading = "What to stash")]
    pub(super) dry_run: bool,
    /// Keep numeric owners and groups
    #[arg(long, help_heading = "What to keep")]
    pub(super) owner: bool,
    /// Keep extended attributes
    #[arg(long, help_heading = "What to keep")]
    pub(super) xattrs: bool,
    #[command(flatten)]
    pub(super) compression: CompressionArgs,
    /// Read every file, also those that the stat cache knows to be unchanged
    #[arg(long, help_heading = "How")]
    pub(super) no_cache: bool,
}

/// How new content is compressed.
#[derive(Debug, Args)]
pub(super) struct CompressionArgs {
    /// zstd level of new content, -7 (fastest) to 19 (smallest)
    #[arg(long, default_value_t = 2, allow_negative_numbers = true, help_heading = "How",
          value_parser = clap::value_parser!(i32).range(-7..=19))]
    pub(super) level: i32,
}

/// Flags of `unstash`.
#[derive(Debug, Args)]
pub(super) struct UnstashArgs {
    /// Name of the stash
    pub(super) name: StashName,
    /// Restore only these paths, with all beneath them
    #[arg(value_name = "PATH")]
    pub(super) paths: Vec<PathBuf>,
    /// Folder to restore into; made if it is not there
    #[arg(short = 'C', long = "directory", default_value = ".", value_name = "DIR")]
    pub(super) folder: PathBuf,
    /// Take the stash of this build of the project
    #[arg(long, value_name = "BUILD")]
    pub(super) from_build: Option<String>,
    /// Delete what the stash does not have
    #[arg(long)]
    pub(super) mirror: bool,
    /// Restore numeric owners and groups
    #[arg(long)]
    pub(super) owner: bool,
    /// Restore extended attributes
    #[arg(long)]
    pub(super) xattrs: bool,
    /// Restore set-user-id and set-group-id bits
    #[arg(long)]
    pub(super) set_id: bool,
    /// Compare by content alone, and remember nothing of this folder
    #[arg(long)]
    pub(super) no_cache: bool,
}

/// Flags of `list`.
#[derive(Debug, Args)]
pub(super) struct ListArgs {}

/// Flags of `show`.
#[derive(Debug, Args)]
pub(super) struct ShowArgs {
    /// Name of the stash
    pub(super) name: StashName,
    /// List these entries, with all beneath them
    #[arg(value_name = "PATH")]
    pub(super) paths: Vec<PathBuf>,
    /// List every entry
    #[arg(long, conflicts_with = "paths")]
    pub(super) all: bool,
}

/// Flags of `rm`.
#[derive(Debug, Args)]
pub(super) struct RmArgs {
    /// Names of the stashes
    #[arg(required = true)]
    pub(super) names: Vec<StashName>,
}

/// Flags of `copy`.
#[derive(Debug, Args)]
pub(super) struct CopyArgs {
    /// Build whose stashes are copied
    #[arg(long, value_name = "BUILD")]
    pub(super) from_build: String,
    /// Build that gets them
    #[arg(long, value_name = "BUILD")]
    pub(super) to_build: String,
}

/// Flags of `export`.
#[derive(Debug, Args)]
pub(super) struct ExportArgs {
    /// Name of the stash
    pub(super) name: StashName,
    /// File to write, or - for stdout
    #[arg(short, long, default_value = "-", value_name = "FILE")]
    pub(super) output: PathBuf,
    /// Compress with zstd, in frames that a reader can seek to
    #[arg(long)]
    pub(super) zstd: bool,
}

/// Flags of `import`.
#[derive(Debug, Args)]
pub(super) struct ImportArgs {
    /// Tarball to read (plain or zstd), or - for stdin
    pub(super) file: PathBuf,
    /// Name of the stash; a stash of that name is replaced
    pub(super) name: StashName,
    /// Keep numeric owners and groups
    #[arg(long)]
    pub(super) owner: bool,
    /// Keep extended attributes
    #[arg(long)]
    pub(super) xattrs: bool,
    #[command(flatten)]
    pub(super) compression: CompressionArgs,
}

/// Flags of `verify`.
#[derive(Debug, Args)]
pub(super) struct VerifyArgs {
    /// Rebuild the ledger's chunk index from the packs themselves
    #[arg(long)]
    pub(super) rebuild_index: bool,
}

/// Flags of `gc`.
#[derive(Debug, Args)]
pub(super) struct GcArgs {
    /// Say what would be deleted, and delete nothing
    #[arg(long, short = 'n')]
    pub(super) dry_run: bool,
}

/// Flags of `serve`; each but `--config` and `--check` can stand in the configuration file.
#[derive(Debug, Args)]
pub(super) struct ServeArgs {
    /// Configuration file (TOML); flags win over it
    #[arg(long, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
    /// Address to listen on [default: 127.0.0.1:7117]
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub(super) listen: Option<std::net::SocketAddr>,
    /// Folder of the ledger, the key and, without --store, the store [default: PANNIER_URL's, or the user's data folder]
    #[arg(long, value_name = "FOLDER")]
    pub(super) data: Option<PathBuf>,
    /// Where packs lie: s3://bucket/prefix, gs://…, az://…, file:/… [default: the data folder]
    #[arg(long, value_name = "URL")]
    pub(super) store: Option<String>,
    /// Encryption at rest: aes256 (S3), kms:KEY (S3, GCS), scope:NAME (Azure) [default: the bucket's own]
    #[arg(long, value_name = "HOW")]
    pub(super) encryption: Option<String>,
    /// Have agents PUT to keys of their own and copy at the commit, for an S3 service that overwrites in spite of If-None-Match
    #[arg(long)]
    pub(super) staging: bool,
    /// Certificate (PEM) for HTTPS; plain HTTP without
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    pub(super) tls_certificate: Option<PathBuf>,
    /// The certificate's private key (PEM)
    #[arg(long, value_name = "FILE", requires = "tls_certificate")]
    pub(super) tls_key: Option<PathBuf>,
    /// Minutes that a signed URL lives, 1 to 15 [default: 15]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=15))]
    pub(super) url_minutes: Option<u32>,
    /// Minutes between sweeps, 0 for none [default: 60]
    #[arg(long, value_name = "N")]
    pub(super) sweep_minutes: Option<u32>,
    /// How log lines look on stderr [default: json]
    #[arg(long, value_enum)]
    pub(super) log: Option<LogFormat>,
    /// Check everything that was configured, say what to mend, and serve nothing
    #[arg(long)]
    pub(super) check: bool,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum LogFormat {
    /// One JSON object a line.
    #[default]
    Json,
    /// For people.
    Text,
}

/// Flags of `token`. Project and build of CI, `PANNIER_PROJECT` and `PANNIER_BUILD` have no say here.
#[derive(Debug, Args)]
pub(super) struct TokenArgs {
    /// The only project that the token may name [default: any]
    #[arg(long, value_name = "PROJECT")]
    pub(super) for_project: Option<String>,
    /// The only build that the token may write to; it reads all of the project [default: any]
    #[arg(long, value_name = "BUILD", requires = "for_project")]
    pub(super) for_build: Option<String>,
    /// The only job that the token may bring artifacts from [default: any]
    #[arg(long, value_name = "JOB", requires = "for_build")]
    pub(super) for_job: Option<String>,
    /// The key of that job's step, for an unmodified buildkite-agent, which does not tell it
    #[arg(long, value_name = "KEY", requires = "for_job")]
    pub(super) for_step: Option<String>,
    /// The scope it writes to: what is in it is seen by tokens that read it [default: the project's own]
    #[arg(long, value_name = "SCOPE")]
    pub(super) scope: Option<String>,
    /// A further scope it reads from, such as the main branch's for a fork's token
    #[arg(long = "read-scope", value_name = "SCOPE")]
    pub(super) read: Vec<String>,
    /// Allow to sweep, to verify and to make tokens
    #[arg(long)]
    pub(super) operator: bool,
    /// Hours until it expires
    #[arg(long, default_value_t = 12, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=8760))]
    pub(super) hours: u32,
}

/// Flags of `completions`.
#[derive(Debug, Args)]
pub(super) struct CompletionsArgs {
    /// The shell
    pub(super) shell: clap_complete::Shell,
}
