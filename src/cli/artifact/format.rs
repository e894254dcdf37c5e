//! What `artifact search --format` prints of an artifact. Prints nothing itself.

use anyhow::bail;

use crate::protocol::artifact::ArtifactInfo;

/// A format that can be printed.
#[derive(Debug)]
pub(super) struct Format(Vec<Piece>);

#[derive(Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    Field(char),
}

/// Every field, by its letter.
const FIELDS: &str = "ipcjsSTu";

impl Format {
    /// Reads a format; an unknown field is an error, an unknown escape stands for itself.
    pub(super) fn parse(text: &str) -> anyhow::Result<Self> {
        let (mut pieces, mut plain) = (Vec::new(), String::new());
        let mut chars = text.chars();
        while let Some(c) = chars.next() {
            match c {
                '%' => match chars.next() {
                    Some('%') => plain.push('%'),
                    Some(field) if FIELDS.contains(field) => {
                        pieces.push(Piece::Text(std::mem::take(&mut plain)));
                        pieces.push(Piece::Field(field));
                    }
                    other => {
                        let field = other.map(String::from).unwrap_or_default();
                        bail!(
                            "`%{field}` in the format is no field: there are %i %p %c %j %s %S %T %u, and %% is a %"
                        );
                    }
                },
                '\\' => match chars.next() {
                    Some('n') => plain.push('\n'),
                    Some('t') => plain.push('\t'),
                    Some('r') => plain.push('\r'),
                    Some('\\') | None => plain.push('\\'),
                    Some(other) => plain.extend(['\\', other]),
                },
                c => plain.push(c),
            }
        }
        pieces.push(Piece::Text(plain));
        Ok(Self(pieces))
    }

    /// Whether it shows URLs, which then have to be asked for.
    pub(super) fn wants_url(&self) -> bool {
        self.0.contains(&Piece::Field('u'))
    }

    /// What it makes of an artifact.
    pub(super) fn of(&self, info: &ArtifactInfo) -> String {
        let piece = |piece: &Piece| match piece {
            Piece::Text(text) => text.clone(),
            Piece::Field(field) => field_of(info, *field),
        };
        self.0.iter().map(piece).collect()
    }
}

fn field_of(info: &ArtifactInfo, field: char) -> String {
    match field {
        'i' => info.id.0.clone(),
        'p' => info.path.clone(),
        'c' => time(info.created_at),
        'j' => info.job.id.clone(),
        's' => info.len.to_string(),
        'S' => info.sha1.to_string(),
        'T' => info.sha256.to_string(),
        // Whoever asks for it by its letter wants to use it.
        _ => info.get.as_ref().map_or_else(String::new, |url| url.expose().to_owned()),
    }
}

/// `2026-11-23T21:05:00Z`, as RFC 3339 has it.
fn time(seconds: i64) -> String {
    jiff::Timestamp::from_second(seconds).map_or_else(|_| format!("@{seconds}"), |time| time.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Sha1, Sha256, SignedUrl};
    use crate::protocol::BuildId;
    use crate::protocol::artifact::{ArtifactId, ArtifactState, Job};

    fn printed(format: &str) -> String {
        let info = ArtifactInfo {
            id: ArtifactId("0190".to_owned()),
            build: BuildId { project: "p".to_owned(), build: "7".to_owned() },
            job: Job { id: "j-1".to_owned(), ..Job::default() },
            path: "a/b c.log".to_owned(),
            absolute_path: None,
            len: 12,
            mode: None,
            modified: None,
            link: None,
            content_type: "text/plain".to_owned(),
            sha1: Sha1([0x11; 20]),
            sha256: Sha256([0x22; 32]),
            blake3: None,
            state: ArtifactState::Finished,
            created_at: 1_700_000_000,
            get: Some(SignedUrl::new("https://h/x?sig=1")),
        };
        Format::parse(format).unwrap().of(&info)
    }

    #[test]
    fn every_field_and_escape() {
        assert_eq!(printed("%j %p %c\\n"), "j-1 a/b c.log 2023-11-14T22:13:20Z\n");
        assert_eq!(printed("%i\\t%s %u%%"), "0190\t12 https://h/x?sig=1%");
        assert_eq!(printed("%S%T"), "11".repeat(20) + &"22".repeat(32));
        assert_eq!(printed(r"a\\n\q\"), r"a\n\q\");
        assert!(Format::parse("%u").unwrap().wants_url() && !Format::parse("%%u").unwrap().wants_url());
    }

    #[test]
    fn an_unknown_field_is_said() {
        for text in ["%x", "a %", "%é"] {
            assert!(Format::parse(text).unwrap_err().to_string().contains("no field"), "{text}");
        }
    }
}
