//! Answers to a range that are not that range.

use fastrand::Rng;
use registry_double::RawAnswer;

use super::page::Page;
use super::{Told, told};
use crate::image::Stored;

const KIND: &str = "range";
const REFUSALS: [u16; 13] = [
    416, 416, 416, 400, 403, 404, 405, 406, 500, 500, 501, 502, 504,
];

/// What is made of a range that would have come; the object is at hand.
type Change = fn(&mut RawAnswer, &[u8]);

/// What else may come.
const WAYS: [(&str, Change); 12] = [
    (
        "416 with the total, as of something shorter",
        |answer, whole| {
            answer.status = 416;
            Page::Nothing.put(answer);
            answer.set_header("Content-Range", &format!("bytes */{}", whole.len() / 2));
        },
    ),
    ("200 with the part, and Content-Range", |answer, _| {
        answer.status = 200;
    }),
    ("200 with the part, and no Content-Range", |answer, _| {
        answer.status = 200;
        answer.drop_header("Content-Range");
    }),
    ("206 with a total that is one too many", |answer, whole| {
        set_total(answer, whole.len() + 1);
    }),
    ("206 with a total that is one too few", |answer, whole| {
        set_total(answer, whole.len().saturating_sub(1));
    }),
    ("206 without Content-Range", |answer, _| {
        answer.drop_header("Content-Range");
    }),
    ("206 that says to hold the first bytes", |answer, whole| {
        let last = answer.body.len().saturating_sub(1);
        answer.set_header("Content-Range", &format!("bytes 0-{last}/{}", whole.len()));
    }),
    ("206 with other bytes than it says", |answer, _| {
        answer.body.iter_mut().for_each(|byte| *byte ^= 0x55);
    }),
    ("200 with everything", |answer, whole| {
        answer.status = 200;
        answer.drop_header("Content-Range");
        answer.set_body(whole);
    }),
    ("206 with everything", |answer, whole| {
        let last = whole.len().saturating_sub(1);
        answer.set_body(whole);
        answer.set_header("Content-Range", &format!("bytes 0-{last}/{}", whole.len()));
    }),
    ("206 with no byte", |answer, _| answer.set_body("")),
    ("206 that says its length and has no byte", |answer, _| {
        answer.body.clear();
    }),
];

fn set_total(answer: &mut RawAnswer, total: usize) {
    let range = answer.header("Content-Range").unwrap_or_default();
    if let Some((part, _)) = range.rsplit_once('/') {
        let range = format!("{part}/{total}");
        answer.set_header("Content-Range", &range);
    }
}

pub(super) fn choose(random: &mut Rng, target: &Stored) -> Told {
    if random.u8(..13) == 0 {
        let status = *random.choice(&REFUSALS).expect("there are refusals");
        let page = Page::choose(random);
        return told(KIND, format!("{status} with {page:?}"), move |_, answer| {
            answer.status = status;
            page.put(answer);
        });
    }
    let (words, change) = *random.choice(&WAYS).expect("there are ways");
    let whole = target.bytes.clone();
    told(KIND, words, move |_, answer| change(answer, &whole))
}
