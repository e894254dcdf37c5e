//! Projects, builds, stashes and folders: what is listed, for whom, and under which name.

use std::collections::BTreeSet;
use std::fs;

use crate::plain_http::Visitor;
use crate::support::served::Served;
use crate::support::{Sandbox, make_rich_tree};

/// A name that means something to shells, addresses, queries and HTML.
pub(crate) const NAME: &str = "xxx#?:$&'\"<>čॐ";
/// The same as HTML has it.
pub(crate) const ESCAPED: &str = "xxx#?:$&amp;'&quot;&lt;&gt;čॐ";

fn stash(sandbox: &Sandbox, served: &Served, project: &str, build: &str, name: &str) {
    sandbox.run_at(served, ["stash", name, "-C", "work", "--project", project, "--build", build]).exits(0);
}

/// Proves that a controller without builds says what to type, and that names of any kind are text on every page, and lead
/// on: every link of every page is followed.
#[test]
fn every_link_leads_on_whatever_the_names() {
    let sandbox = Sandbox::new();
    let served = Served::start(&sandbox, "data", &[]);
    let visitor = Visitor::with(&served, &served.token);
    let empty = visitor.get("/").text();
    assert!(empty.contains("No builds yet") && empty.contains("pannier stash"), "{empty}");

    make_rich_tree(&sandbox.work());
    fs::create_dir_all(sandbox.path("work").join(NAME)).unwrap();
    fs::write(sandbox.path("work").join(NAME).join(format!("{NAME}.html")), "<p>").unwrap();
    stash(&sandbox, &served, NAME, &format!("b{NAME}"), "čॐ it's-\"fine\"");
    stash(&sandbox, &served, "org/dev%2Fmain", "1", "deps");
    let (mut seen, mut next) = (BTreeSet::new(), vec!["/".to_owned()]);
    while let Some(address) = next.pop() {
        if !seen.insert(address.clone()) || address.starts_with('#') {
            continue;
        }
        let answer = visitor.get(&address);
        assert!(matches!(answer.status, 200 | 303) && answer.is_whole, "{} {address}", answer.status);
        if let Some(location) = answer.header("location") {
            let opened = visitor.get(location);
            assert_eq!((opened.status, &opened.body[..]), (200, &b"<p>"[..]), "{location}");
        }
        if answer.header("content-type") == Some("text/html; charset=utf-8") {
            assert!(!answer.text().contains(NAME) && !answer.text().contains("'\"<"), "{address}");
            next.extend(answer.links());
        }
    }
    // 300 files twice (to see and to keep), and the pages above them.
    assert!(seen.len() > 600, "{seen:?}");
    let project = visitor.get(&visitor.get("/").link_named(ESCAPED));
    assert!(project.text().contains(&format!("<h1>{ESCAPED}</h1>")));
}

/// Proves that a token for one project shows that project alone: the rest looks like what was never there.
#[test]
fn what_one_may_not_see_looks_like_what_is_not_there() {
    let sandbox = Sandbox::new();
    fs::write(sandbox.path("work/page.html"), "secret").unwrap();
    let served = Served::start(&sandbox, "data", &[]);
    for (project, own) in [("p", "p"), ("q", "q")] {
        let made =
            sandbox.run_at(&served, ["token", "--for-project", project, "--scope", "both", "--json"]).json();
        let token = made["token"].as_str().unwrap().to_owned();
        let mut command =
            sandbox.at(&served, ["stash", "deps", "-C", "work", "--project", own, "--build", "1"]);
        assert!(command.env("PANNIER_TOKEN", &token).output().unwrap().status.success());
        let visitor = Visitor::with(&served, &token);
        let first = visitor.get("/").text();
        assert!(first.contains(&format!(">{own}</a>")) && !first.contains(">local</a>"), "{first}");
        let stash = |project: &str, build: &str, name: &str| {
            format!("project={project}&build={build}&stash={name}&path=page.html")
        };
        let page = visitor.get(&format!("/ui/file?{}", stash(own, "1", "deps")));
        assert_eq!((page.status, &page.body[..]), (200, &b"secret"[..]));
        let other = if own == "p" { "q" } else { "p" };
        let told = |answer: crate::plain_http::Answer| (answer.status, answer.text());
        let nothing = told(visitor.get("/ui/nothing"));
        assert_eq!(nothing.0, 404);
        for query in [stash(other, "1", "deps"), stash("none", "1", "deps"), stash(own, "1", "none")] {
            for page in ["stash", "file", "tar", "open"] {
                assert_eq!(told(visitor.get(&format!("/ui/{page}?{query}"))), nothing, "{page} {query}");
            }
        }
        for address in [
            format!("/ui/project?project={other}"),
            "/ui/project?project=none".to_owned(),
            format!("/ui/build?project={other}&build=1"),
            format!("/ui/build?project={own}&build=none"),
            format!("/ui/stash?project={own}&build=1&stash=deps&path=page.html"),
            format!("/ui/stash?project={own}&build=1&stash=deps&path=../work"),
            format!("/ui/file?project={own}&build=1&stash=deps&path=none"),
            format!("/ui/file?project={own}&build=1&stash=deps"),
        ] {
            assert_eq!(told(visitor.get(&address)), nothing, "{address}");
        }
    }
}

/// Proves that a long folder comes in pages of a thousand rows that together are the folder, that what lies in a folder
/// is not listed above it, and that a folder that only its files tell of is one.
#[test]
fn long_folders_come_in_pages() {
    let sandbox = Sandbox::new();
    for folder in ["many", "many-more/inner"] {
        fs::create_dir_all(sandbox.path("work").join(folder)).unwrap();
    }
    let names: Vec<String> = (0..2300).map(|number| format!("file-{number:04}")).collect();
    for name in &names {
        fs::write(sandbox.path("work/many").join(name), name).unwrap();
        fs::write(sandbox.path("work/many-more/inner").join(name), name).unwrap();
    }
    let served = Served::start(&sandbox, "data", &[]);
    stash(&sandbox, &served, "p", "1", "all");
    // A tar names no folder that it does not hold.
    let tarred = std::process::Command::new("tar")
        .args(["-C", "work", "-cf", "files.tar", "many/file-0007", "many-more/inner/file-0001"])
        .current_dir(sandbox.dir.path())
        .status();
    assert!(tarred.unwrap().success());
    sandbox.run_at(&served, ["import", "files.tar", "some", "--project", "p", "--build", "1"]).exits(0);

    let visitor = Visitor::with(&served, &served.token);
    let rows = |page: &crate::plain_http::Answer| -> Vec<String> {
        let text = page.text();
        let rows = text.split("<th scope=\"row\" role=\"rowheader\">").skip(1);
        rows.map(|row| row.split('>').nth(1).unwrap().split('<').next().unwrap().to_owned()).collect()
    };
    let top = visitor.get("/ui/stash?project=p&build=1&stash=all");
    assert_eq!(rows(&top), ["many", "many-more"]);
    let (mut page, mut found, mut pages) = (visitor.get(&top.link_named("many")), Vec::new(), 1);
    loop {
        let listed = rows(&page);
        assert!(listed.len() <= 1000);
        found.extend(listed);
        if !page.text().contains("rel=\"next\"") {
            break;
        }
        page = visitor.get(&page.link_named("Further in the list →"));
        pages += 1;
    }
    assert_eq!((found, pages), (names, 3));
    let some = visitor.get("/ui/stash?project=p&build=1&stash=some");
    assert_eq!(rows(&some), ["many", "many-more"]);
    let inner = visitor.get(&visitor.get(&some.link_named("many-more")).link_named("inner"));
    assert_eq!(rows(&inner), ["file-0001"]);
}
