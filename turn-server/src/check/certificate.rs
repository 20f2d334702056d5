//! The certificates as clients and Prometheus will see them: their chains and their days.

use std::{fs, path::Path};

use x509_parser::{certificate::X509Certificate, pem::Pem, prelude::FromDer};

use super::{Machine, Said};
use crate::certificates;

/// A certificate of Let's Encrypt is renewed when 30 of its 90 days are left; at half of that, renewal has failed for weeks.
const SOON: i64 = 14 * DAY;

const DAY: i64 = 24 * 60 * 60;

/// Names a chain that is not there, and days that are over. What cannot be read at all ends the start, which says so.
pub(super) fn check(machine: &Machine, said: &mut Said<'_>) {
    let settings = said.settings;
    if let Some(tls) = settings.tls.as_ref().or(settings.dtls.as_ref()) {
        one(&tls.certificate, "cert", machine, said);
    }
    let of_metrics = certificates::of_metrics(settings);
    if let Some(own) = of_metrics.filter(|named| named.options[0] != "cert") {
        one(&own.tls.certificate, own.options[0], machine, said);
    }
}

fn one(file: &Path, option: &str, machine: &Machine, said: &mut Said<'_>) {
    let Ok(bytes) = fs::read(file) else {
        return;
    };
    let chain: Vec<Vec<u8>> = Pem::iter_from_buffer(&bytes)
        .filter_map(Result::ok)
        .filter(|block| block.label == "CERTIFICATE")
        .map(|block| block.contents)
        .collect();
    let Some((_, first)) = chain
        .first()
        .and_then(|der| X509Certificate::from_der(der).ok())
    else {
        return;
    };
    if chain.len() == 1 && first.issuer() != first.subject() {
        said.of(option, missing_chain(file, &first.issuer().to_string()));
    }
    days(&first, (option, file), machine, said);
}

fn missing_chain(file: &Path, issuer: &str) -> String {
    let remedy = match file.with_file_name("fullchain.pem") {
        full if full.exists() => format!("name {}", full.display()),
        _ => {
            "append the certificates between it and the root (Let's Encrypt: fullchain.pem)".into()
        }
    };
    format!(
        "{} holds one certificate, signed by {issuer:?}, and nothing of its chain, so many clients will not believe it; {remedy}",
        file.display()
    )
}

fn days(
    first: &X509Certificate<'_>,
    (option, file): (&str, &Path),
    machine: &Machine,
    said: &mut Said<'_>,
) {
    let now = i64::try_from(machine.now.as_secs()).unwrap_or(i64::MAX);
    let begins = first.validity().not_before.timestamp();
    let ends = first.validity().not_after.timestamp();
    let file = file.display();
    if now > ends {
        let days = (now - ends) / DAY;
        said.of(option, format!("{file} expired {days} days ago; renew it"));
    } else if now < begins {
        said.of(
            option,
            format!("{file} is not valid yet; look at the clock of this machine"),
        );
    } else if ends - now < SOON {
        let days = (ends - now) / DAY;
        said.of(
            option,
            format!("{file} expires in {days} days; look why it has not been renewed"),
        );
    }
}
