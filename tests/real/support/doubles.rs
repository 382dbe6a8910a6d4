//! Registries within this process, where it is the probe's own process that is tested.

use registry_double::{Background, Double, in_background};

/// One in which one image is broken and one is not.
pub(crate) fn broken_and_intact() -> Background<Double> {
    in_background(async {
        let double = Double::start().await;
        let broken = double.image("broken", Some("v1"), &[b"a layer"]);
        double.remove_layer_link("broken", &broken.layers[0]);
        double.image("intact", Some("v1"), &[b"another layer"]);
        double
    })
}
