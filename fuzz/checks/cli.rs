//! What must hold for the names of images, whatever somebody types.

use super::image::parse_image;
use crate::oci::fuzzing::assert_printable;

/// An image: its name as reports print it leads to the same image.
pub(crate) fn image(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else {
        return;
    };
    for plain_http in [false, true] {
        let (endpoint, repository, reference) = match parse_image(text, plain_http) {
            Ok(image) => image,
            Err(error) => {
                assert_printable(&error.to_string(), 300);
                continue;
            }
        };
        let image = reference.in_repository(&repository);
        let name = format!("{}/{image}", endpoint.in_images());
        assert_printable(&name, usize::MAX);
        let scheme = if endpoint.is_https() { "https" } else { "http" };
        let full = parse_image(&format!("{scheme}://{name}"), false).expect(&name);
        assert_eq!(
            full,
            (endpoint.clone(), repository.clone(), reference.clone())
        );
        let bare = parse_image(&name, plain_http).expect(&name);
        // Another scheme than a typed one would be guessed: then another port may be the usual one.
        if bare.0.is_https() == endpoint.is_https() {
            assert_eq!(bare.0.name(), endpoint.name());
        }
        assert_eq!((bare.1, bare.2), (repository, reference));
    }
}
