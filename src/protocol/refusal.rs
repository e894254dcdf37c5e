//! What a controller answers over HTTP when it does not do what was asked. Its status line says whether to try again.

/// The JSON body of every answer that is not 2xx.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Refusal {
    /// What kind of failure it is.
    pub kind: RefusalKind,
    /// What failed, in words for people.
    pub message: String,
    /// What to do next, where the controller knows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

/// Kinds of failure that an agent treats differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefusalKind {
    /// 404: the stash, build or session does not exist, or may not be seen.
    NotFound,
    /// 400, 401, 403, 412 or 413: the request itself is wrong; repeating it cannot help.
    Refused,
    /// 410: the session's lease ended; a new session can succeed.
    SessionEnded,
    /// 416 or 422: something that was committed is damaged.
    Damaged,
    /// 503: a passing fault; the same request may succeed later.
    Unavailable,
}
