//! The probe against registries that people run: each is started, filled, broken in its own ways and mended, and
//! the sweep is held to the truth. What was seen becomes a table of docs/registries.md.
//!
//! Left out of plain `cargo test`: `make test-registry NAME=zot BINARY=/usr/local/bin/zot` runs it. How those programs
//! are come by is up to whoever runs it.

mod attached;
mod distribution;
mod gitea;
mod product;
mod pushed;
mod registry;
#[allow(dead_code, reason = "tests/real uses the rest")]
mod support;
mod table;
mod trial;
mod zot;

use product::Product;

const PRODUCTS: [&Product; 3] = [&distribution::DISTRIBUTION, &gitea::GITEA, &zot::ZOT];

/// The product that is under test, and its program.
fn chosen() -> (&'static Product, std::path::PathBuf) {
    let variable = |name: &str| {
        let value = std::env::var(name).ok().filter(|value| !value.is_empty());
        value.unwrap_or_else(|| panic!("make test-registry NAME=… BINARY=/…: {name} is not set"))
    };
    let (name, binary) = (
        variable("PROBE_REGISTRY_NAME"),
        variable("PROBE_REGISTRY_BINARY"),
    );
    let product = PRODUCTS.into_iter().find(|product| product.name == name);
    let names = PRODUCTS.map(|product| product.name).join(", ");
    let product = product.unwrap_or_else(|| panic!("NAME is one of {names}, not {name}"));
    (product, binary.into())
}

/// One test, since all of it is about one product and becomes one table.
#[test]
fn a_registry_is_held_to_the_truth() {
    let (product, binary) = chosen();
    let found = trial::all(product, &binary);
    // A table that lacks what went wrong would say less than the one that stands there.
    assert!(found.wrong.is_empty(), "{}", found.wrong.join("\n\n"));
    table::write(product, &(product.version)(&binary), &found);
}
