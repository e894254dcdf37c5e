//! The pages as Chromium shows them: without a complaint, narrow and wide, light and dark, with names of any kind; and a
//! report that runs in its sandbox. Needs `chromium`; without it the test says so and passes, unless
//! `PANNIER_TESTS_MUST_RUN=1`.

use std::fs;

use serde_json::json;

use crate::chromium::Chromium;
use crate::lists::NAME;
use crate::support::Sandbox;
use crate::support::served::Served;

/// Counts contrast as WCAG 2 does (relative luminance), over all text of a page; the lowest.
const LOWEST_CONTRAST: &str = r"(() => {
  const parts = colour => colour.match(/[\d.]+/g).map(Number);
  const light = ([r, g, b]) => {
    const [x, y, z] = [r, g, b].map(v => (v /= 255) <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * x + 0.7152 * y + 0.0722 * z;
  };
  const behind = element => {
    for (let at = element; at; at = at.parentElement) {
      const colour = parts(getComputedStyle(at).backgroundColor);
      if (colour.length < 4 || colour[3] > 0) return colour;
    }
    return [255, 255, 255];
  };
  let lowest = 21;
  for (const element of document.body.querySelectorAll('*')) {
    const texts = [...element.childNodes].some(node => node.nodeType === 3 && node.data.trim());
    if (!texts) continue;
    const [a, b] = [light(parts(getComputedStyle(element).color)), light(behind(element))];
    lowest = Math.min(lowest, (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05));
  }
  return lowest;
})()";

fn sandbox() -> (Sandbox, Served) {
    let sandbox = Sandbox::new();
    let folder = sandbox.path("work").join(NAME);
    fs::create_dir_all(folder.join("sub")).unwrap();
    fs::write(sandbox.path("work/a file with a rather long name that has to break somewhere.txt"), "text")
        .unwrap();
    fs::write(sandbox.path("work").join("x".repeat(200)), "text").unwrap();
    let report = "<!doctype html><meta charset=utf-8><link rel=stylesheet href='style.css'><h1>report</h1>\
                  <a id=inner href='sub/inner.html'>inner</a><script src='script.js'></script>";
    fs::write(folder.join(format!("{NAME}.html")), report).unwrap();
    fs::write(folder.join("style.css"), "h1 { color: rgb(1, 2, 3) }").unwrap();
    let script = "let cookie; try { cookie = document.cookie } catch (error) { cookie = error.name }
      window.found = { cookie, origin: String(self.origin) };
      try { localStorage.x = 1; found.storage = 'open' } catch (error) { found.storage = error.name }
      found.own = fetch('style.css').then(answer => answer.text(), error => error.name);";
    fs::write(folder.join("script.js"), script).unwrap();
    fs::write(folder.join("sub/inner.html"), "<title>inner</title><a id=back href='../style.css'>back</a>")
        .unwrap();
    let served = Served::start(&sandbox, "data", &[]);
    let build = format!("build {NAME}");
    let args = ["stash", "čॐ it's-\"fine\"", "-C", "work", "--project", NAME, "--build", &build];
    sandbox.run_at(&served, args).exits(0);
    let upload = ["artifact", "upload", "**/*", "-C", "work", "--project", NAME, "--build", &build];
    sandbox.run_at(&served, upload).exits(0);
    (sandbox, served)
}

/// Proves that people get from sign-in to a report by what the pages show; see the module.
#[test]
fn pages_in_a_browser() {
    let (sandbox, served) = sandbox();
    let Some(mut browser) = Chromium::start(sandbox.dir.path()) else { return };
    browser.go(&served.url);
    assert_eq!(browser.value("document.activeElement.id"), "token", "one can type at once");
    check_looks(&mut browser, "Sign in");
    let token = json!(served.token);
    browser.follow(&format!("document.getElementById('token').value = {token}; document.forms[0].submit()"));
    assert_eq!(browser.value("document.cookie"), "", "no script sees the cookie");
    check_looks(&mut browser, "Projects");
    for name in [NAME.to_owned(), format!("build {NAME}"), "čॐ it's-\"fine\"".to_owned()] {
        click(&mut browser, &name);
        check_looks(&mut browser, name.strip_prefix("build ").unwrap_or(&name));
    }
    let rows = browser.value("[...document.querySelectorAll('tbody th')].map(row => row.innerText.trim())");
    assert_eq!(rows[2], "x".repeat(200));
    assert!(rows[1].as_str().unwrap().starts_with(NAME), "{rows}");
    click(&mut browser, &format!("{NAME}/"));
    check_looks(&mut browser, NAME);
    click(&mut browser, &format!("{NAME}.html"));
    check_report(&mut browser, &served.url);
    browser.go(&served.url);
    check_looks(&mut browser, "Projects");
    for name in [NAME.to_owned(), format!("build {NAME}"), format!("{NAME}/"), "sub/".to_owned()] {
        click(&mut browser, &name);
    }
    check_looks(&mut browser, "sub");
    click(&mut browser, "inner.html");
    assert_eq!(
        browser.value("[document.title, String(self.origin)].join()"),
        "inner,null",
        "an origin of its own"
    );
    browser.go(&served.url);
    browser.follow("document.querySelector('.top form').submit()");
    check_looks(&mut browser, "Sign in");
    browser.go(&format!("{}/ui/project?project=p", served.url));
    assert_eq!(browser.value("document.querySelector('h1').innerText"), "Sign in", "the cookie is gone");
}

/// Follows the link that shows exactly `name`; what only screen readers are told is no part of it.
#[track_caller]
fn click(browser: &mut Chromium, name: &str) {
    let found = "(name => [...document.querySelectorAll('main a')].find(link => \
                 [...link.childNodes].filter(node => node.className !== 'hidden').map(node => node.textContent)\
                 .join('') === name))";
    let name = json!(name);
    assert_eq!(browser.value(&format!("!!{found}({name})")), true, "no link {name}");
    browser.follow(&format!("{found}({name}).click()"));
}

/// The page has one heading with `name`, makes the browser complain of nothing, and fits at any width and in both themes.
#[track_caller]
fn check_looks(browser: &mut Chromium, name: &str) {
    assert_eq!(browser.complaints(), Vec::<String>::new(), "{name}");
    let heading = browser.value("[...document.querySelectorAll('h1')].map(h1 => h1.innerText).join()");
    assert!(heading.as_str().unwrap().ends_with(name), "{heading} is not {name}");
    let landmarks = browser.value("[...document.querySelectorAll('main, header')].length");
    assert_eq!(landmarks, 2, "{name}");
    let mut papers = Vec::new();
    for theme in ["light", "dark"] {
        for width in [320, 1280] {
            browser.look(width, theme);
            let widest = browser.value("document.documentElement.scrollWidth");
            assert_eq!(widest, width, "{name} scrolls sideways");
            let contrast = browser.value(LOWEST_CONTRAST).as_f64().unwrap();
            assert!(contrast >= 4.5, "{name}, {theme}: a contrast of {contrast:.2}");
        }
        papers.push(browser.value("getComputedStyle(document.body).backgroundColor"));
    }
    assert_ne!(papers[0], papers[1], "{name} has no dark theme");
}

/// The report has run with its own files, and reached nothing else.
#[track_caller]
fn check_report(browser: &mut Chromium, url: &str) {
    assert_eq!(browser.complaints(), Vec::<String>::new());
    assert_eq!(browser.value("getComputedStyle(document.querySelector('h1')).color"), "rgb(1, 2, 3)");
    assert_eq!(
        browser.value("[found.cookie, found.origin, found.storage].join()"),
        "SecurityError,null,SecurityError"
    );
    assert_eq!(browser.value("found.own"), "h1 { color: rgb(1, 2, 3) }");
    let page = "fetch('/', { credentials: 'include' }).then(() => 'read', () => 'refused')";
    assert_eq!(browser.value(page), "refused", "nobody else reads pages of pannier");
    let address = browser.value("location.href").as_str().unwrap().to_owned();
    assert!(address.starts_with(&format!("{url}/ui/report/")), "{address}");
    browser.follow("document.getElementById('inner').click()");
    assert_eq!(browser.value("document.title"), "inner");
    assert!(browser.value("document.getElementById('back').href").as_str().unwrap().ends_with("/style.css"));
}
