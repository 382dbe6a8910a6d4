//! What the caller's credentials let the caller see.

use super::facts::trouble;
use super::{Line, Mark};
use crate::doctor::{
    BlobAnswers, CacheSign, Contact, Examination, Identity, Login, Page, Pull, Range, Wanted,
};
use crate::registry::Unverified;
use crate::render::words::{many, number};

/// Who we are to the registry, and what that shows us; nothing where there is no registry.
pub(super) fn sight(examination: &Examination) -> Vec<Line> {
    if !matches!(examination.contact, Contact::Answered(_)) {
        return Vec::new();
    }
    let mut sight = vec![who(examination)];
    // Where the login was refused, nothing more was asked for.
    if let Some(catalog) = &examination.catalog {
        sight.extend([repositories(catalog), pull(examination)]);
    }
    sight
}

fn who(examination: &Examination) -> Line {
    let login = match &examination.identity {
        Identity::Nobody => "nobody: no login for it was given or is stored".into(),
        Identity::Given(user) => format!("{user}, by the login that was given"),
        Identity::Stored => "the login that docker or podman has stored for it".into(),
    };
    let (mark, text) = match &examination.login {
        Login::NotWanted if examination.identity == Identity::Nobody => {
            (Mark::Fine, "nobody in particular".into())
        }
        Login::NotWanted => (
            Mark::Fine,
            format!("nobody in particular; not sent: {login}"),
        ),
        Login::Accepted => (Mark::Fine, login),
        Login::Missing if matches!(examination.wanted, Wanted::Token { .. }) => {
            (Mark::Plain, login)
        }
        Login::Missing | Login::Refused(_) => (Mark::Bad, login),
        Login::Untried(_) => (Mark::Care, login),
    };
    Line::new(mark, "you are", text)
}

fn repositories(catalog: &Result<Page, Unverified>) -> Line {
    let (mark, text) = match catalog {
        Err(_) => (Mark::Care, "not known, for want of a catalog".into()),
        Ok(page) if page.entries == 0 => (Mark::Care, "none listed".into()),
        Ok(page) if page.is_all() => (Mark::Fine, number(page.entries)),
        Ok(page) => (Mark::Fine, format!("{} or more", number(page.entries))),
    };
    Line::new(mark, "repositories", text)
}

fn pull(examination: &Examination) -> Line {
    let line = |mark, text| Line::new(mark, "pull", text);
    let Some(sample) = &examination.sample else {
        return line(Mark::Care, "not tried: no repository is known".into());
    };
    if let Err(why) = &sample.tags {
        return line(
            Mark::Bad,
            format!("{}: {}", sample.repository, trouble(why)),
        );
    }
    if examination.cache_sign() == CacheSign::UnknownFails {
        return line(Mark::Plain, "not tried: a cache would store it".into());
    }
    let Some(pull) = &sample.pull else {
        return line(
            Mark::Care,
            format!("not tried: {} has no tag", sample.repository),
        );
    };
    let image = format!("{}:{}", sample.repository, pull.tag);
    if let Err(why) = &pull.get {
        return line(Mark::Bad, format!("{image}: {}", trouble(why)));
    }
    let (mark, what) = extent(pull);
    line(mark, format!("{image}: {what}"))
}

/// What of an image came, whose manifest did.
fn extent(pull: &Pull) -> (Mark, String) {
    match &pull.blob {
        None => (Mark::Care, "its manifest; it has no blob to try".into()),
        Some(BlobAnswers {
            range: Range::Refused(why),
            ..
        }) => (
            Mark::Bad,
            format!("its manifest, and not its blob: {}", trouble(why)),
        ),
        Some(BlobAnswers { size, .. }) => {
            let size = many(*size, "byte", "bytes");
            (Mark::Fine, format!("its manifest, and a blob of {size}"))
        }
    }
}
