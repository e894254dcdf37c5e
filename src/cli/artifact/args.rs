//! What can be typed after `pannier artifact`. Nothing here acts.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

/// Ends every verb's help. What is sent or fetched is each file by itself, other than a stash.
const HELP: &str = "\
Exit codes:
  0  done
  1  failed; files that were sent or fetched by then are there, the others are as they were
  2  wrong usage
  3  done, but not everything: what could not be sent or fetched is named
  4  nothing matches
130, 143  stopped by SIGINT, SIGTERM: no file is half-written, and the same command goes on";

const UPLOAD_ABOUT: &str = "\
Send files of this job as artifacts of its build.

A pattern is compared with whole paths below the folder: * is any characters but /, ** any characters, ? one character, {a,b} either, \
[abc] and [^abc] one character; \\ takes the next one as it is. Absolute patterns give paths relative to the root. Where artifacts are \
stored is the controller's to say: there is no destination here.";

const DOWNLOAD_ABOUT: &str = "\
Fetch artifacts into a folder, each verified before it gets its name.

In a query * stands for any characters, / among them; nothing else is special. It is looked for in this build, or in the one that --build \
names; with --branch, --commit or another --project, and no --build, in the newest finished build that fits. --step (key, label or job id) and --job \
narrow it down. If DEST ends in the name that the query begins with, they merge: app/logs/* goes to out/app as out/app/logs/….";

const SEARCH_ABOUT: &str = "\
List artifacts, those of several jobs with the same path too.

Fields of a format: %i id, %p path, %c creation time, %j job id, %s bytes, %S SHA-1, %T SHA-256, %u URL (it lets whoever has it read the \
content, for minutes), %% a %. Escapes: \\n \\t \\r \\\\.";

/// Flags of `artifact`.
#[derive(Debug, Args)]
pub(in crate::cli) struct ArtifactArgs {
    #[command(subcommand)]
    pub(super) command: ArtifactCommand,
}

/// What is done with artifacts.
#[derive(Debug, Subcommand)]
pub(super) enum ArtifactCommand {
    /// Send files of this job as artifacts of its build
    #[command(after_help = HELP, long_about = UPLOAD_ABOUT)]
    Upload(UploadArgs),
    /// Fetch artifacts into a folder, each verified before it gets its name
    #[command(after_help = HELP, long_about = DOWNLOAD_ABOUT)]
    Download(DownloadArgs),
    /// List artifacts
    #[command(after_help = HELP, long_about = SEARCH_ABOUT)]
    Search(SearchArgs),
    /// Print the checksum of one artifact
    #[command(after_help = HELP)]
    Shasum(ShasumArgs),
}

/// Flags of `artifact upload`.
#[derive(Debug, Args)]
pub(super) struct UploadArgs {
    /// Patterns of the files, several in one argument split on the delimiter
    #[arg(required = true, value_name = "PATTERN")]
    pub(super) patterns: Vec<String>,
    /// Folder that relative patterns begin in
    #[arg(short = 'C', long = "directory", default_value = ".", value_name = "DIR")]
    pub(super) folder: PathBuf,
    /// Patterns of what to leave out, folders with all beneath them
    #[arg(long, value_name = "PATTERN", help_heading = "Which files")]
    pub(super) exclude: Vec<String>,
    /// Take the arguments as paths, not as patterns
    #[arg(long, help_heading = "Which files")]
    pub(super) literal: bool,
    /// What splits arguments; nothing does if it is empty
    #[arg(long, default_value = ";", value_name = "TEXT", help_heading = "Which files")]
    pub(super) delimiter: String,
    /// Look into symlinks to folders
    #[arg(long, help_heading = "Which files")]
    pub(super) glob_resolve_follow_symlinks: bool,
    /// What a symlink to a file is
    #[arg(long, value_enum, default_value_t, value_name = "POLICY", help_heading = "Which files")]
    pub(super) symlinks: Symlinks,
    /// The same as --symlinks skip
    #[arg(long, conflicts_with = "symlinks", help_heading = "Which files")]
    pub(super) upload_skip_symlinks: bool,
    /// What it means that no file matches
    #[arg(long, value_enum, default_value_t, value_name = "POLICY", help_heading = "Which files")]
    pub(super) if_no_files: NoFiles,
    /// Print what would be sent, and send nothing
    #[arg(long, short = 'n', help_heading = "Which files")]
    pub(super) dry_run: bool,
    /// Media type of all the files [default: by their extensions, else binary/octet-stream]
    #[arg(long, value_name = "TYPE", help_heading = "How")]
    pub(super) content_type: Option<String>,
    /// Days that they are kept [default: as long as the build]
    #[arg(long, value_name = "N", help_heading = "How", value_parser = clap::value_parser!(u32).range(1..=36_500))]
    pub(super) keep_days: Option<u32>,
    #[command(flatten)]
    pub(super) at_once: ConcurrencyArgs,
}

/// How many at once.
#[derive(Debug, Args)]
pub(super) struct ConcurrencyArgs {
    /// The most files and parts that move at once [default: as many as bring more]
    #[arg(long, value_name = "N", help_heading = "How", value_parser = clap::value_parser!(u32).range(1..=256))]
    pub(super) concurrency: Option<u32>,
}

/// What a symlink to a file is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum Symlinks {
    /// The file that it leads to
    #[default]
    Follow,
    /// Nothing
    Skip,
    /// A symlink, without content
    Keep,
}

/// What it means that no file matches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum NoFiles {
    /// It is said
    #[default]
    Warn,
    /// The command fails with exit code 4
    Error,
    /// Nothing
    Ignore,
}

/// What is looked for.
#[derive(Debug, Args)]
pub(super) struct QueryArgs {
    /// Path in which * stands for any characters
    pub(super) query: String,
    /// Count earlier attempts of retried jobs too
    #[arg(long)]
    pub(super) include_retried_jobs: bool,
}

/// Flags of `artifact download`.
#[derive(Debug, Args)]
pub(super) struct DownloadArgs {
    #[command(flatten)]
    pub(super) query: QueryArgs,
    /// Folder to write to; it has to be there
    #[arg(value_name = "DEST")]
    pub(super) folder: PathBuf,
    /// What becomes of symlinks that were uploaded as such
    #[arg(long, value_enum, default_value_t, value_name = "POLICY")]
    pub(super) symlinks: RestoredSymlinks,
    #[command(flatten)]
    pub(super) at_once: ConcurrencyArgs,
}

/// What becomes of a kept symlink.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum RestoredSymlinks {
    /// A symlink again
    #[default]
    Keep,
    /// Nothing
    Skip,
}

/// Flags of `artifact search`.
#[derive(Debug, Args)]
pub(super) struct SearchArgs {
    #[command(flatten)]
    pub(super) query: QueryArgs,
    /// Succeed also if nothing is found
    #[arg(long)]
    pub(super) allow_empty_results: bool,
    /// What is printed of each (see --help)
    #[arg(long, default_value = "%j %p %c\\n", value_name = "FORMAT")]
    pub(super) format: String,
}

/// Flags of `artifact shasum`.
#[derive(Debug, Args)]
pub(super) struct ShasumArgs {
    #[command(flatten)]
    pub(super) query: QueryArgs,
    /// Print the SHA-256 rather than the SHA-1
    #[arg(long)]
    pub(super) sha256: bool,
}
