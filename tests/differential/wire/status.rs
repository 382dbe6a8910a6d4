//! Another status, with whatever page for a body.

use fastrand::Rng;
use registry_double::Request;

use super::page::Page;
use super::{Told, told};
use crate::image::{COPY, REPOSITORY};

/// Statuses that an answer may have in place of its own. 429 and 503 ask for patience, which a client
/// does not have and the probe has much of; they have tests of their own.
const STATUSES: [u16; 40] = [
    200, 201, 202, 203, 204, 205, 206, 226, 299, 300, 301, 302, 303, 304, 305, 307, 308, 399, 400,
    401, 402, 403, 404, 405, 406, 409, 410, 412, 413, 414, 415, 416, 418, 451, 500, 501, 502, 504,
    507, 599,
];

pub(super) fn choose(random: &mut Rng) -> Told {
    let status = *random.choice(&STATUSES).expect("there are statuses");
    let page = Page::choose(random);
    let location = (300..400).contains(&status).then(|| random.u8(..5));
    if status == 401 {
        let challenge = *random
            .choice(&[
                None,
                Some("Basic realm=\"x\""),
                Some("Bearer realm=\"nowhere\""),
                Some("Odd"),
            ])
            .expect("there are challenges");
        let words = format!("401, challenge {challenge:?}, with {page:?}");
        return told("status 4xx", words, move |_, answer| {
            answer.status = 401;
            page.put(answer);
            if let Some(challenge) = challenge {
                answer.set_header("WWW-Authenticate", challenge);
            }
        });
    }
    let kind = match status / 100 {
        2 => "status 2xx",
        3 => "status 3xx",
        4 => "status 4xx",
        _ => "status 5xx",
    };
    let to = match location {
        None => "",
        Some(0) => ", without a Location",
        Some(1) => ", to no address",
        Some(2) => ", to itself",
        Some(3) => ", to where nothing is",
        Some(_) => ", to where it is",
    };
    told(
        kind,
        format!("{status}{to}, with {page:?}"),
        move |request, answer| {
            answer.status = status;
            page.put(answer);
            let path = &request.path;
            let location = match location {
                None | Some(0) => return,
                Some(1) => "http://[nowhere".to_owned(),
                Some(2) => path.clone(),
                Some(3) => format!("{path}0"),
                Some(_) => elsewhere(request),
            };
            answer.set_header("Location", &location);
        },
    )
}

/// The same object in the other repository.
fn elsewhere(request: &Request) -> String {
    request
        .path
        .replacen(&format!("/{REPOSITORY}/"), &format!("/{COPY}/"), 1)
}
