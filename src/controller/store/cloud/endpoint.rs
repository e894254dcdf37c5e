//! Where requests go, and whether they may go there in the clear. Not what they carry.

use object_store::signer::Url;

use crate::controller::store::error::StoreError;
use crate::controller::store::options::Variables;

/// Whether `endpoint` is plain HTTP that pannier may use: on this very machine, or since the operator said so in the
/// variable `switch`. Plain HTTP without either is refused: signed URLs would pass in the clear.
pub(super) fn plain_http(
    endpoint: Option<&str>,
    variables: &Variables,
    switch: &'static str,
) -> Result<bool, StoreError> {
    let Some(endpoint) = endpoint else { return Ok(false) };
    let url = Url::parse(endpoint).ok().filter(|url| url.has_host());
    match url.as_ref().map(|url| (url.scheme(), url)) {
        Some(("https", _)) => Ok(false),
        Some(("http", url)) if is_loopback(url) || variables.is_on(switch) => Ok(true),
        Some(("http", _)) => Err(StoreError::setting(
            format!("the store's endpoint is plain http, and {switch} is not set"),
            "use an https endpoint; over a network that nobody else can read, set AWS_ALLOW_HTTP, GOOGLE_ALLOW_HTTP or \
             AZURE_ALLOW_HTTP to true",
        )),
        _ => Err(StoreError::setting(
            "the store's endpoint is no http or https URL".to_owned(),
            "write it as https://HOST:PORT, or leave it out for the cloud's own",
        )),
    }
}

fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_http_leaves_this_machine_only_when_it_was_asked_for() {
        let none = Variables::default();
        let set: Variables = [("AWS_ALLOW_HTTP", "true")].into_iter().collect();
        let plain = |endpoint, variables| plain_http(endpoint, variables, "AWS_ALLOW_HTTP").ok();
        assert_eq!(plain(None, &none), Some(false));
        assert_eq!(plain(Some("https://s3.example"), &none), Some(false));
        for here in ["http://127.0.0.1:9000", "http://localhost:1", "http://[::1]:9000"] {
            assert_eq!(plain(Some(here), &none), Some(true), "{here}");
        }
        for there in ["http://s3.example", "http://127.0.0.1.example", "http://10.0.0.1"] {
            assert_eq!(plain(Some(there), &none), None, "{there}");
            assert_eq!(plain(Some(there), &set), Some(true), "{there}");
        }
        assert_eq!(plain(Some("s3.example:9000"), &set), None);
        assert_eq!(plain(Some("ftp://s3.example"), &set), None);
    }
}
