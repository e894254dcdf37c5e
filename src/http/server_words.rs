//! What of a server's answer may be shown to people. Stores repeat signatures in their errors (S3's
//! `SignatureDoesNotMatch` quotes the signed string), so an answer is never shown as it came.

/// The most that is shown, in characters.
const MAX_CHARS: usize = 500;
/// Values of a URL's query at least this long are hidden wherever they stand; shorter ones are no signatures.
const SECRET_CHARS: usize = 12;

/// The body's message: of an XML error its code and message, of a JSON object its `message` or `error`, else the text;
/// one line, bounded, and without anything that `url`'s query or the token says.
pub(super) fn shown(body: &[u8], url: &reqwest::Url, token: Option<&str>) -> String {
    let text = String::from_utf8_lossy(body);
    let text = xml(&text).or_else(|| json(&text)).unwrap_or_else(|| text.into_owned());
    let mut line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    line.retain(|c| !c.is_control());
    for secret in secrets(url, token) {
        line = line.replace(&secret, "…");
    }
    match line.char_indices().nth(MAX_CHARS) {
        Some((end, _)) => line[..end].to_owned() + "…",
        None => line,
    }
}

fn xml(text: &str) -> Option<String> {
    let element = |name: &str| {
        let (_, rest) = text.split_once(&format!("<{name}>"))?;
        Some(rest.split_once("</")?.0.to_owned())
    };
    if !text.trim_start_matches('\u{feff}').trim_start().starts_with('<') {
        return None;
    }
    let said: Vec<String> = ["Code", "Message"].into_iter().filter_map(element).collect();
    Some(said.join(": "))
}

fn json(text: &str) -> Option<String> {
    let object: serde_json::Map<String, serde_json::Value> = serde_json::from_str(text).ok()?;
    let said = ["message", "error"].into_iter().find_map(|key| object.get(key)?.as_str());
    said.map(str::to_owned)
}

/// The token and every long value of the query, as it stands in the URL and decoded.
fn secrets(url: &reqwest::Url, token: Option<&str>) -> Vec<String> {
    let raw = url
        .query()
        .unwrap_or_default()
        .split('&')
        .filter_map(|pair| Some(pair.split_once('=')?.1.to_owned()));
    let decoded = url.query_pairs().map(|(_, value)| value.into_owned());
    let long = raw.chain(decoded).filter(|value| value.len() >= SECRET_CHARS);
    long.chain(token.filter(|token| !token.is_empty()).map(str::to_owned)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(body: &str) -> String {
        let url = "https://b.example/p?X-Amz-Signature=0123456789abcdef&X-Amz-Date=20260101T000000Z&sig=a%2Fb%2Bc%3Dd12345";
        shown(body.as_bytes(), &url.parse().unwrap(), Some("tok"))
    }

    #[test]
    fn an_answer_is_shown_without_what_the_request_kept_secret() {
        let s3 = "<?xml version=\"1.0\"?>\n<Error><Code>SignatureDoesNotMatch</Code><Message>The request signature does\nnot match</Message><SignatureProvided>0123456789abcdef</SignatureProvided></Error>";
        assert_eq!(of(s3), "SignatureDoesNotMatch: The request signature does not match");
        assert_eq!(of("<html>0123456789abcdef</html>"), "");
        assert_eq!(
            of("bad 0123456789abcdef and a/b+c=d12345 or a%2Fb%2Bc%3Dd12345, tok"),
            "bad … and … or …, …"
        );
        assert_eq!(of("{\"message\":\"no such stash\",\"x\":1}"), "no such stash");
        assert_eq!(of("{\"error\":\"no\"}"), "no");
        assert_eq!(of("a\u{1b}[31m\r\n b"), "a[31m b");
        assert_eq!(of(&"é".repeat(600)).chars().count(), MAX_CHARS + 1);
        assert_eq!(of(""), "");
    }
}
