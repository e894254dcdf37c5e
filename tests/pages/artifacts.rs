//! A build's artifacts on the pages: a tree of them, and each by a redirect to where it lies.

use std::fs;

use crate::lists::{ESCAPED, NAME};
use crate::plain_http::Visitor;
use crate::support::Sandbox;
use crate::support::served::Served;

/// A controller with build 1 of project p, which has these files as artifacts.
fn served(sandbox: &Sandbox, files: &[(&str, &str)]) -> Served {
    let served = Served::start(sandbox, "data", &[]);
    for (path, content) in files {
        let path = sandbox.path("work").join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
    let upload = ["artifact", "upload", "**/*", "-C", "work", "--project", "p", "--build", "1"];
    sandbox.run_at(&served, upload).exits(0);
    served
}

const BUILD: &str = "/ui/build?project=p&build=1";

/// Proves that a build with artifacts alone is listed with how many there are, that they are a tree with sizes and modes, and that names
/// of any kind are text and lead on.
#[test]
fn artifacts_are_a_tree() {
    let sandbox = Sandbox::new();
    let odd = format!("{NAME}/{NAME}.txt");
    let files =
        [("top.log", "twelve bytes"), ("report/a/b.html", "<p>"), ("report/c.txt", "c"), (&odd, "odd")];
    let served = served(&sandbox, &files);
    let visitor = Visitor::with(&served, &served.token);
    let first = visitor.get("/").text();
    assert!(first.contains("data-unit=\"artifacts\">4<"), "{first}");
    let project = visitor.get("/ui/project?project=p").text();
    assert!(project.contains("data-unit=\"artifacts\">4<"), "{project}");
    let build = visitor.get(BUILD);
    let text = build.text();
    assert!(
        text.contains("4 artifacts, 19 B.") && text.contains("This build has artifacts alone."),
        "{text}"
    );
    assert!(text.contains(">12 B<") && text.contains(">rw-r--r--<") && !text.contains("'\"<"), "{text}");
    let report = visitor.get(&build.link_named("report"));
    assert!(
        report.text().contains("<h1>report</h1>") && report.text().contains(">c.txt<"),
        "{}",
        report.text()
    );
    let inner = visitor.get(&report.link_named("a"));
    assert!(inner.text().contains(">b.html<"), "{}", inner.text());
    let back = visitor.get(&inner.link_named("report"));
    assert_eq!((back.status, back.text().contains(">c.txt<")), (200, true));
    let odd = visitor.get(&build.link_named(ESCAPED));
    let opened = visitor.get(&odd.link_named(&format!("{ESCAPED}.txt")));
    let content = visitor.get(opened.header("location").unwrap());
    assert_eq!((opened.status, content.status, &content.body[..]), (302, 200, &b"odd"[..]));
    assert_eq!(visitor.get("/ui/artifacts?project=p&build=1&path=nowhere").status, 404);
    assert!(visitor.get("/ui/artifacts?project=p&build=1&path=../x").status >= 400);
}

/// Proves that an artifact is a redirect that no cache keeps, to a URL that opens without the cookie; that it is shown or kept as was asked;
/// and that foreign HTML is in an origin of its own.
#[test]
fn an_artifact_is_a_redirect() {
    let sandbox = Sandbox::new();
    let served = served(&sandbox, &[("index.html", "<script>document.title = 1</script>")]);
    let visitor = Visitor::with(&served, &served.token);
    let page = visitor.get(BUILD);
    let download = page.links().into_iter().find(|link| link.ends_with("&download=1")).unwrap();
    for (link, disposition) in [(page.link_named("index.html"), "inline; "), (download, "attachment; ")] {
        let redirect = visitor.get(&link);
        assert_eq!((redirect.status, redirect.header("cache-control")), (302, Some("no-store")));
        let location = redirect.header("location").unwrap();
        let content = Visitor::stranger(&served).get(location);
        assert_eq!((content.status, content.header("content-type")), (200, Some("text/html; charset=utf-8")));
        assert!(content.header("content-disposition").unwrap().starts_with(disposition));
        assert_eq!(content.header("content-security-policy"), Some("sandbox"));
        assert!(!served.log().contains(location), "a signed URL is in the log");
    }
}

/// Proves that who may not look finds nothing, neither the page nor the artifact, and who is not signed in is asked to.
#[test]
fn who_may_not_look_finds_nothing() {
    let sandbox = Sandbox::new();
    let served = served(&sandbox, &[("a.txt", "a"), ("folder/b.txt", "b")]);
    let owner = Visitor::with(&served, &served.token);
    let artifact = owner.get(BUILD).link_named("a.txt");
    let other = sandbox.run_at(&served, ["token", "--for-project", "q"]).exits(0);
    let other = Visitor::with(&served, other.stdout().trim());
    for address in [BUILD, "/ui/artifacts?project=p&build=1&path=folder", &artifact] {
        assert_eq!(owner.get(address).status / 100, if address == artifact { 3 } else { 2 });
        assert_eq!(other.get(address).status, 404, "{address}");
        let stranger = Visitor::stranger(&served).get(address);
        assert!(
            stranger.status == 303 && stranger.header("location").unwrap().starts_with("/ui/sign-in"),
            "{address}"
        );
    }
}

/// Proves that a folder of more than a thousand artifacts comes in pages that hold each of them once.
#[test]
fn a_large_folder_comes_in_pages() {
    let sandbox = Sandbox::new();
    let names: Vec<String> = (0..1203).map(|number| format!("many/{number:04}.txt")).collect();
    let files: Vec<(&str, &str)> = names.iter().map(|name| (&name[..], "same")).collect();
    let served = served(&sandbox, &files);
    let visitor = Visitor::with(&served, &served.token);
    let (mut seen, mut address) = (Vec::new(), visitor.get(BUILD).link_named("many"));
    loop {
        let page = visitor.get(&address);
        let text = page.text();
        seen.extend(
            text.split("</a>")
                .filter_map(|part| part.rsplit('>').next())
                .filter(|name| name.ends_with(".txt"))
                .map(str::to_owned),
        );
        if !text.contains("rel=\"next\"") {
            break;
        }
        address = page.link_named("Further in the list →");
    }
    let all: Vec<String> = (0..1203).map(|number| format!("{number:04}.txt")).collect();
    assert_eq!(seen, all);
}
