//! `pannier serve --check`: tries everything that was configured and says what to mend. Serves nothing, keeps nothing.

use std::net::TcpListener;

use crate::controller::server::{KEY_FILE, ServerKey, check_tls};
use crate::controller::store::{Finding, Store};
use crate::controller::{Controller, LEDGER_FILE};

use crate::cli::args::Global;
use crate::cli::exit::Exit;
use crate::cli::{Outcome, ui};

use super::config::ServeConfig;

pub(super) fn run(global: &Global, config: &ServeConfig) -> Outcome {
    let mut findings = vec![address(config)];
    findings.extend(tls(config));
    match ServerKey::read_or_new(&config.data.join(KEY_FILE)) {
        Ok((key, _)) => match super::open(config, &key) {
            Ok(opened) => {
                findings.extend(opened.store.check());
                findings.push(ledger(config, opened.store));
            }
            Err(error) => findings.push(Finding::wrong(
                format!("the store cannot be opened: {error:#}"),
                "correct --store, --encryption, --staging or the cloud's variables",
            )),
        },
        Err(error) => findings.push(Finding::wrong(
            format!("the key cannot be used: {error}"),
            format!("give this user a data folder of its own, {}", config.data.display()),
        )),
    }
    if global.json {
        ui::print_json(&findings)?;
    } else {
        let lines: String = findings.iter().map(|finding| format!("{finding}\n")).collect();
        ui::print(&lines)?;
    }
    Ok(if findings.iter().all(Finding::is_fine) { Exit::Done } else { Exit::Failed })
}

fn address(config: &ServeConfig) -> Finding {
    match TcpListener::bind(config.listen) {
        Ok(_) => Finding::fine(format!("{} can be listened on", config.listen)),
        Err(error) => Finding::wrong(
            format!("{} cannot be listened on: {error}", config.listen),
            "stop what listens there, or choose another address with --listen",
        ),
    }
}

fn tls(config: &ServeConfig) -> Option<Finding> {
    let (certificate, key) = config.tls.as_ref()?;
    Some(match check_tls(certificate, key) {
        Ok(()) => Finding::fine("certificate and key belong together"),
        Err(error) => Finding::wrong(
            format!(
                "the certificate {} cannot be used with the key {}: {error}",
                certificate.display(),
                key.display()
            ),
            "both are PEM files; the certificate's chain begins with the server's own",
        ),
    })
}

fn ledger(config: &ServeConfig, store: Box<dyn Store>) -> Finding {
    if !config.data.join(LEDGER_FILE).exists() {
        return match store.holds_packs() {
            Ok(false) => Finding::fine("the first start will make a ledger"),
            Ok(true) => Finding::wrong(
                "there is no ledger, but the store holds packs",
                "put the ledger back, or choose a store that holds none",
            ),
            Err(error) => Finding::wrong(
                format!("whether the store needs a ledger cannot be seen: {error}"),
                error.hint().unwrap_or("mend the store first"),
            ),
        };
    }
    match Controller::open_to_serve(&config.data, store).and_then(|controller| controller.identity()) {
        Ok(_) => Finding::fine("the ledger is there, and its schema is this program's"),
        Err(error) => Finding::wrong(
            format!("the ledger cannot be used: {error}"),
            error.hint().unwrap_or("look at the data folder's rights and space"),
        ),
    }
}
