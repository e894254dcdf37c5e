//! What to do about an error, where a next step is known, and the exit code that it ends in.

use crate::agent::AgentError;
use crate::agent::artifact::ArtifactError;
use crate::pattern::GlobError;
use crate::transfer::remote::RemoteErrorKind;
use crate::transfer::{RemoteError, TransferError};
use crate::workspace::beneath::BeneathError;

use super::exit::Exit;

/// One line that names a next step.
pub(super) fn of(error: &anyhow::Error) -> Option<String> {
    if is_full_disk(error) {
        return Some(
            "free some space and run the command again; what was stored before is untouched".to_owned(),
        );
    }
    if let Some(hint) = error.downcast_ref::<ArtifactError>().and_then(of_artifacts) {
        return Some(hint);
    }
    remote(error).and_then(|error| error.hint.clone()).or_else(|| known(error).map(str::to_owned))
}

fn of_artifacts(error: &ArtifactError) -> Option<String> {
    match error {
        ArtifactError::Ambiguous { jobs, .. } => Some(match &jobs[..] {
            [job] => format!("job {job} uploaded it more than once; `pannier artifact search` lists them all"),
            jobs => format!("it was uploaded by {}; pass --job or --step", jobs.join(", ")),
        }),
        ArtifactError::NoMatch { .. } => Some(
            "`pannier artifact search '*'` lists what there is; see --build, --step and --include-retried-jobs"
                .to_owned(),
        ),
        ArtifactError::NotOne { .. } => {
            Some("`pannier artifact search` with --format '%T %p\\n' prints the sums of all of them".to_owned())
        }
        ArtifactError::Parent(_) => Some("name the folder with -C, or give an absolute path".to_owned()),
        ArtifactError::Destination(BeneathError::Open { path, source })
            if source.kind() == std::io::ErrorKind::NotFound =>
        {
            Some(format!("make it first: mkdir -p {}", path.display()))
        }
        ArtifactError::Send { .. } | ArtifactError::Fetch { .. } => {
            Some("run the command again: what has moved does not move again".to_owned())
        }
        ArtifactError::Remote(error) => error.hint.clone(),
        _ => None,
    }
}

fn known(error: &anyhow::Error) -> Option<&'static str> {
    if let Some(GlobError::Parent(_)) = error.downcast_ref() {
        return Some("name the folder with -C, or give an absolute pattern");
    }
    match error.downcast_ref::<AgentError>() {
        Some(AgentError::Empty(_)) => {
            return Some("look at the patterns with --dry-run, or pass --allow-empty");
        }
        Some(AgentError::DamagedPack { .. } | AgentError::Transfer(TransferError::Get { .. })) => {
            return Some(
                "stash the workspace again to send what is damaged anew; `pannier verify` names every stash",
            );
        }
        Some(AgentError::Transfer(TransferError::Put { .. })) => {
            return Some("check the disk and the rights of the folder that PANNIER_URL names");
        }
        Some(AgentError::Transfer(TransferError::Send { source, .. })) if source.status() == Some(507) => {
            return Some("free some space on the controller's disk; what was stored before is untouched");
        }
        Some(AgentError::NoSuchChunk { .. } | AgentError::Manifest { .. }) => {
            return Some(
                "`pannier verify` names what is damaged; stashing the workspace again makes it whole",
            );
        }
        Some(AgentError::NoSuchPath { .. }) => {
            return Some("`pannier show NAME --all` lists the paths of a stash");
        }
        Some(AgentError::Restore(error)) => return error.hint(),
        Some(AgentError::Tar(error)) => return error.hint(),
        _ => {}
    }
    match remote(error)?.kind {
        RemoteErrorKind::NotFound => {
            Some("`pannier list` shows the stashes of a build; see --build and --project")
        }
        RemoteErrorKind::SessionEnded => Some("run the command again"),
        RemoteErrorKind::Damaged => Some("`pannier verify` names every stash that is affected"),
        RemoteErrorKind::Refused | RemoteErrorKind::Unavailable => None,
    }
}

/// The exit code that tells scripts what kind of failure it was.
pub(super) fn exit_of(error: &anyhow::Error) -> Exit {
    if let Some(ArtifactError::NoMatch { .. }) = error.downcast_ref() {
        return Exit::NotFound;
    }
    match error.downcast_ref::<AgentError>() {
        Some(AgentError::NoSuchPath { .. }) => Exit::NotFound,
        _ if remote(error).is_some_and(|error| error.kind == RemoteErrorKind::NotFound) => Exit::NotFound,
        _ => Exit::Failed,
    }
}

fn remote(error: &anyhow::Error) -> Option<&RemoteError> {
    // An error that says nothing of its own (`AgentError::Remote`) is not a link of the chain.
    error.chain().find_map(|cause| match cause.downcast_ref::<AgentError>() {
        Some(AgentError::Remote(error)) => Some(error),
        _ => match cause.downcast_ref::<ArtifactError>() {
            Some(ArtifactError::Remote(error)) => Some(error),
            _ => cause.downcast_ref::<RemoteError>(),
        },
    })
}

fn is_full_disk(error: &anyhow::Error) -> bool {
    let full = |cause: &(dyn std::error::Error + 'static)| {
        cause
            .downcast_ref::<std::io::Error>()
            .is_some_and(|error| error.kind() == std::io::ErrorKind::StorageFull)
    };
    error.chain().any(full)
}
