//! Broken objects that a report tells together, wherever each is missed.

use crate::report::{Found, Object, Plot, told_together};

/// Objects that are told together.
pub(super) struct Story<'a> {
    pub(super) objects: Vec<&'a Object<'a>>,
    /// All their findings, those of the first object first.
    pub(super) findings: Vec<&'a Found>,
}

impl<'a> Story<'a> {
    pub(super) fn of(objects: Vec<&'a Object<'a>>) -> Self {
        let findings = objects.iter().flat_map(|object| &object.findings);
        let findings = findings.copied().collect();
        Self { objects, findings }
    }

    /// The finding that stands for the others.
    pub(super) fn first(&self) -> &'a Found {
        self.findings[0]
    }

    pub(super) fn references(&self) -> u64 {
        self.objects.iter().map(|object| object.references).sum()
    }
}

/// The stories of some objects, in the order in which each begins.
pub(super) fn stories<'a>(objects: &'a [Object<'a>]) -> Vec<Story<'a>> {
    let plot = |object: &&Object<'a>| {
        let first = object.first();
        (object.repositories.clone(), Plot::of(first, Some(first)))
    };
    let told = told_together(objects, plot);
    told.into_iter().map(Story::of).collect()
}
