//! The images that documents name, each once with where it stands, and what was not taken for one.

use std::collections::HashMap;

use super::reference::is_unresolved;
use crate::oci::Printable;
use crate::report::{Named, Origin, Unasked};

/// Names that are kept: as many as a cluster of the largest size has images, and no more than memory has room for.
const NAMES: usize = 100_000;
/// Places that are kept of one name, and of all together; more are counted.
const PLACES: usize = 100;
const ALL_PLACES: usize = 50_000;

/// What a name is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum What {
    Image,
    Unresolved,
    NotTaken,
    Built,
}

/// What documents name.
#[derive(Debug, Default)]
pub struct NamedImages {
    /// Images to ask for, as they are written.
    pub images: Vec<Named>,
    /// What nobody is to be asked for.
    pub unasked: Unasked,
    known: HashMap<(What, Printable), usize>,
    places: usize,
}

impl NamedImages {
    /// Notes text that stands where an image has to.
    pub(super) fn certain(&mut self, text: &str, origin: Origin) -> Result<(), String> {
        let is_missing = text.is_empty() || is_unresolved(text);
        let what = if is_missing {
            What::Unresolved
        } else {
            What::Image
        };
        self.add(what, text, origin)
    }

    /// Notes a name, and that it stands here, too.
    pub(super) fn add(&mut self, what: What, text: &str, origin: Origin) -> Result<(), String> {
        let written = Printable::from(text);
        let list = match what {
            What::Image => &mut self.images,
            What::Unresolved => &mut self.unasked.unresolved,
            What::NotTaken => &mut self.unasked.not_taken,
            What::Built => &mut self.unasked.built,
        };
        let next = list.len();
        if let Some(at) = self.known.get(&(what, written.clone())) {
            let named = &mut list[*at];
            if named.origins.contains(&origin) {
                // Some documents are there twice.
            } else if named.origins.len() < PLACES && self.places < ALL_PLACES {
                self.places += 1;
                named.origins.push(origin);
            } else {
                named.more += 1;
            }
            return Ok(());
        }
        if self.known.len() >= NAMES {
            return Err(format!(
                "more than {NAMES} different names of images are not read"
            ));
        }
        self.known.insert((what, written.clone()), next);
        self.places += 1;
        let (origins, more) = (vec![origin], 0);
        list.push(Named {
            written,
            origins,
            more,
        });
        Ok(())
    }
}
