//! What an announced artifact may say of itself. Looks at nothing but the request.

use crate::controller::error::ControllerError;
use crate::controller::writing::at_most;
use crate::protocol::artifact::{BuildFacts, Job, MAX_ARTIFACT_PATH_BYTES, NewArtifact};
use crate::protocol::build::{MAX_NAME_BYTES, check_label};

/// 48.8 TiB: what S3 takes in ten thousand parts of 5 GiB (Amazon S3 User Guide, "Amazon S3 multipart upload limits").
const MAX_ARTIFACT_BYTES: u64 = 10_000 * (5 << 30);
/// Modes have twelve bits.
const MODES: u32 = 0o7777;
/// A century, for who wants to keep an artifact for ever.
const MAX_KEEP_DAYS: u32 = 36_500;

/// Fails unless a job can be written down.
pub(super) fn job(job: &Job) -> Result<(), ControllerError> {
    check_label(&job.id).map_err(|error| unfit(format!("this job cannot be: {error}")))?;
    [("step", &job.step), ("label", &job.label), ("shard", &job.shard)].into_iter().try_for_each(short)
}

/// Fails unless a build's facts can be written down.
pub(super) fn facts(facts: &BuildFacts) -> Result<(), ControllerError> {
    let all = [("branch", &facts.branch), ("commit", &facts.commit), ("number", &facts.number)];
    all.into_iter().try_for_each(short)
}

/// Fails unless an artifact can be.
pub(super) fn artifact(new: &NewArtifact) -> Result<(), ControllerError> {
    path(&new.path)?;
    at_most("bytes of an artifact", new.len, MAX_ARTIFACT_BYTES)?;
    let refuse = |why: &str| Err(unfit(format!("artifact {:?} cannot be: {why}", new.path)));
    if new.key.is_empty() || new.key.len() > MAX_NAME_BYTES {
        return refuse("its key is empty, or longer than 255 bytes");
    }
    if new.mode.is_some_and(|mode| mode > MODES) {
        return refuse("its mode has more than twelve bits");
    }
    if !is_media_type(&new.content_type) {
        return refuse("its content type is not one of at most 255 printable ASCII characters");
    }
    if new.keep_days.is_some_and(|days| days > MAX_KEEP_DAYS) {
        return refuse("it is to be kept for more than a hundred years");
    }
    let texts = [&new.absolute_path, &new.link];
    if texts.into_iter().flatten().any(|text| text.len() > MAX_ARTIFACT_PATH_BYTES || text.contains('\0')) {
        return refuse("its absolute path or its link's target is no path");
    }
    match &new.link {
        Some(target) if target.is_empty() || new.len > 0 => refuse("a link has a target and no content"),
        _ => Ok(()),
    }
}

/// Fails unless it is a path of an artifact: relative, nowhere out of its folder.
pub(super) fn path(path: &str) -> Result<(), ControllerError> {
    let names = path.split('/').all(|name| !matches!(name, "" | "." | ".."));
    if names && path.len() <= MAX_ARTIFACT_PATH_BYTES && !path.contains('\0') {
        return Ok(());
    }
    Err(unfit(format!(
        "{path:?} is no path of an artifact: it has to be relative, with one `/` between names, without `.` and `..`, and \
         of at most {MAX_ARTIFACT_PATH_BYTES} bytes"
    )))
}

/// A request that makes no sense, in words for whoever sent it.
pub(super) const fn unfit(why: String) -> ControllerError {
    ControllerError::Unfit(why)
}

fn short((what, text): (&str, &Option<String>)) -> Result<(), ControllerError> {
    match text {
        Some(text) if text.len() > MAX_NAME_BYTES || text.chars().any(char::is_control) => Err(unfit(
            format!("the {what} {text:?} is longer than {MAX_NAME_BYTES} bytes, or has control characters"),
        )),
        _ => Ok(()),
    }
}

fn is_media_type(text: &str) -> bool {
    text.len() <= MAX_NAME_BYTES
        && text.contains('/')
        && text.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_that_lead_out_or_name_nothing_are_refused() {
        for good in ["a", "a/b.txt", "xxx#?:$&'\"<>čॐ", "..a/b..", "a\r\nb", "-"] {
            assert!(path(good).is_ok(), "{good:?}");
        }
        for bad in ["", "/a", "a/", "a//b", ".", "a/./b", "..", "a/../b", "a\0b"] {
            assert!(path(bad).is_err(), "{bad:?}");
        }
        assert!(path(&"x".repeat(4095)).is_ok() && path(&"x".repeat(4096)).is_err());
    }

    #[test]
    fn a_content_type_cannot_end_a_header() {
        assert!(is_media_type("text/plain; charset=utf-8") && is_media_type("binary/octet-stream"));
        assert!(!is_media_type("text/plain\r\nx: y") && !is_media_type("text") && !is_media_type("text/č"));
    }
}
