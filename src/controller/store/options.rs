//! How a store is opened: the clouds' own variables, the lifetime of URLs, encryption at rest. Not where it is.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use super::Store;
use super::cloud::CloudStore;
use super::disk::DiskStore;
use super::error::StoreError;
use super::store_url::StoreUrl;

/// How long a signed URL lives unless the operator wants less, in seconds; also the most.
const URL_SECONDS: u64 = 15 * 60;
/// Less would end in the middle of a large pack's PUT on a slow line.
const LEAST_URL_SECONDS: u64 = 60;

/// What an operator chose for a store.
#[derive(Clone, Debug)]
pub struct StoreOptions {
    /// Credentials and endpoints, named as the clouds' own tools name them.
    pub variables: Variables,
    /// Life of a signed URL: 60 to 900 seconds.
    pub url_life: Duration,
    /// Encryption at rest, signed into every PUT; `None` leaves it to the bucket.
    pub encryption: Option<Encryption>,
    /// For a service of S3's protocol that overwrites: agents PUT to keys that nobody reads, and [`Store::settle`]
    /// copies.
    pub staging: bool,
}

impl StoreOptions {
    /// The process's environment, URLs of 15 minutes, the bucket's own encryption, no staging.
    pub fn from_environment() -> Self {
        Self::with_variables(Variables::from_environment())
    }

    /// The same with variables from elsewhere: a config file, a test.
    pub const fn with_variables(variables: Variables) -> Self {
        Self { variables, url_life: Duration::from_secs(URL_SECONDS), encryption: None, staging: false }
    }

    /// Refuses a lifetime that is too long or too short.
    fn check(&self) -> Result<(), StoreError> {
        if (LEAST_URL_SECONDS..=URL_SECONDS).contains(&self.url_life.as_secs()) {
            return Ok(());
        }
        Err(StoreError::setting(
            format!(
                "signed URLs may live {LEAST_URL_SECONDS} to {URL_SECONDS} seconds, not {}",
                self.url_life.as_secs()
            ),
            "leave the lifetime of URLs out for 15 minutes",
        ))
    }
}

/// Opens the store at `url`. Asks nothing of it yet: see [`Store::check`].
pub fn open_store(url: &StoreUrl, options: &StoreOptions) -> Result<Box<dyn Store>, StoreError> {
    options.check()?;
    if options.staging && !matches!(url, StoreUrl::S3(_)) {
        return Err(StoreError::setting(
            format!("{url} needs no staging: it never overwrites"),
            "leave staging out",
        ));
    }
    match (url, &options.encryption) {
        (StoreUrl::Disk(_), Some(_)) => Err(StoreError::setting(
            "a folder has no encryption that pannier could ask for".to_owned(),
            "leave the store's encryption out, and encrypt the file system",
        )),
        (StoreUrl::Disk(folder), None) => Ok(Box::new(DiskStore::open(folder))),
        _ => Ok(Box::new(CloudStore::open(url, options)?)),
    }
}

/// Variables by name. Printed without their values.
#[derive(Clone, Default)]
pub struct Variables(BTreeMap<String, String>);

impl Variables {
    /// The process's own; what is not UTF-8 is none of a cloud's.
    pub fn from_environment() -> Self {
        let text = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        };
        Self(std::env::vars_os().filter_map(text).collect())
    }

    /// A variable that is set and not empty.
    pub fn value(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// All whose names begin with `prefix`, with names in lower case, as object_store's `from_env` reads them.
    pub(super) fn lowercase<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = (String, &'a str)> {
        let set = self.0.iter().filter(move |(name, value)| name.starts_with(prefix) && !value.is_empty());
        set.map(|(name, value)| (name.to_ascii_lowercase(), value.as_str()))
    }

    /// Whether a switch is on.
    pub(super) fn is_on(&self, name: &str) -> bool {
        self.value(name)
            .is_some_and(|value| matches!(value.to_ascii_lowercase().as_str(), "1" | "true" | "yes" | "on"))
    }
}

impl<N: Into<String>, V: Into<String>> FromIterator<(N, V)> for Variables {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(pairs: I) -> Self {
        Self(pairs.into_iter().map(|(name, value)| (name.into(), value.into())).collect())
    }
}

impl fmt::Debug for Variables {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Variables({} set)", self.0.len())
    }
}

/// Encryption at rest beyond the bucket's default.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Encryption {
    /// S3 with keys of its own (`AES256`).
    S3Managed,
    /// A customer's key in the cloud's key service: a KMS key's id or ARN on S3, a key's resource name on GCS.
    Kms(String),
    /// An encryption scope of the Azure account.
    Scope(String),
}

impl FromStr for Encryption {
    type Err = String;

    /// Reads `aes256`, `kms:KEY` or `scope:NAME`.
    fn from_str(text: &str) -> Result<Self, String> {
        // The value goes into a signed header or a query: only what needs no escaping there.
        let plain = |value: &str| {
            !value.is_empty()
                && value
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || matches!(b, b':' | b'/' | b'.' | b'_' | b'-'))
        };
        match text.split_once(':') {
            None if text == "aes256" => Ok(Self::S3Managed),
            Some(("kms", key)) if plain(key) => Ok(Self::Kms(key.to_owned())),
            Some(("scope", name)) if plain(name) => Ok(Self::Scope(name.to_owned())),
            _ => {
                Err("a store's encryption is aes256 (S3), kms:KEY (S3, GCS) or scope:NAME (Azure)".to_owned())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encryption_is_one_of_three() {
        assert_eq!("aes256".parse(), Ok(Encryption::S3Managed));
        let key = "arn:aws:kms:eu-west-1:1:key/a-b";
        assert_eq!(format!("kms:{key}").parse(), Ok(Encryption::Kms(key.into())));
        assert_eq!("scope:ci".parse(), Ok(Encryption::Scope("ci".into())));
        for text in ["", "AES256", "kms:", "kms:a b", "scope:a\r\nx: y", "none"] {
            assert!(text.parse::<Encryption>().is_err(), "{text}");
        }
    }

    #[test]
    fn variables_do_not_print_their_values() {
        let variables: Variables =
            [("AWS_SECRET_ACCESS_KEY", "secret"), ("AWS_REGION", "")].into_iter().collect();
        assert!(!format!("{:?}", StoreOptions::with_variables(variables.clone())).contains("secret"));
        assert_eq!(
            variables.lowercase("AWS_").collect::<Vec<_>>(),
            [("aws_secret_access_key".to_owned(), "secret")]
        );
    }

    #[test]
    fn staging_is_for_the_protocol_of_s3_alone() {
        let variables: Variables =
            [("AWS_ACCESS_KEY_ID", "A"), ("AWS_SECRET_ACCESS_KEY", "S")].into_iter().collect();
        let options = StoreOptions { staging: true, ..StoreOptions::with_variables(variables) };
        for (url, fine) in
            [("file:/tmp/none", false), ("gs://bucket", false), ("az://bucket", false), ("s3://bucket", true)]
        {
            assert_eq!(open_store(&url.parse().unwrap(), &options).is_ok(), fine, "{url}");
        }
    }

    #[test]
    fn a_life_beyond_fifteen_minutes_is_refused() {
        let url = "file:/tmp/none".parse().unwrap();
        for (seconds, fine) in [(59, false), (60, true), (900, true), (901, false)] {
            let mut options = StoreOptions::with_variables(Variables::default());
            options.url_life = Duration::from_secs(seconds);
            assert_eq!(open_store(&url, &options).is_ok(), fine, "{seconds}");
        }
    }
}
