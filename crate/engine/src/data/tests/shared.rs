//! The reference data beside the checkout, where there are any.

use std::path::PathBuf;

use super::*;

/// A file of the shared folder: `LOPPER_SHARED`, or `shared` beside the checkout.
fn shared(name: &str) -> Option<Vec<u8>> {
    let beside = || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared");
    let folder = std::env::var_os("LOPPER_SHARED").map_or_else(beside, PathBuf::from);
    let path = folder.join(name);
    match std::fs::read(&path) {
        Ok(bytes) => Some(bytes),
        Err(error) => {
            eprintln!(
                "SKIPPED: {} cannot be read ({error}); set LOPPER_SHARED to the folder with golden/",
                path.display()
            );
            None
        }
    }
}

#[test]
fn golden_images_are_what_numpy_reads() {
    for (name, count, sum, label_sum, first) in [
        ("golden/resnet20_batch64.npz", 64, 22_597_250, 336, [158, 112, 49]),
        ("golden/sgd640.npz", 640, 236_383_843, 2_725, [170, 97, 84]),
    ] {
        let Some(bytes) = shared(name) else { continue };
        let data = Dataset::from_archive(bytes.into(), ImageSpec::fixed(32, 32, 3)).unwrap();
        assert_eq!((data.len(), data.height(), data.width(), data.channels()), (count, 32, 32, 3));
        let found: u64 = bytes_of(&data).iter().map(|&byte| u64::from(byte)).sum();
        let labels: u32 = data.labels().unwrap().iter().sum();
        assert_eq!((found, labels, &bytes_of(&data)[..3]), (sum, label_sum, &first[..]), "{name}");
    }
}
