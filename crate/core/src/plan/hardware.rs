//! Multiples of channels that hardware likes: as many numbers as one of its registers or tiles holds.

/// Name, multiple, and what it is the width of.
pub const HARDWARE: &[(&str, usize, &str)] = &[
    ("neon", 4, "128-bit registers of float32"),
    ("webgpu", 4, "vec4 of WGSL"),
    ("avx2", 8, "256-bit registers of float32"),
    ("tensor-core", 8, "16 bytes of float16"),
    ("avx512", 16, "512-bit registers of float32"),
    ("tensor-core-int8", 16, "16 bytes of int8"),
];

/// The multiple for a kind of hardware.
pub fn hardware(name: &str) -> Option<usize> {
    HARDWARE.iter().find(|h| h.0 == name).map(|h| h.1)
}
