//! Compiles the wire format: protox parses the description, buffa generates the Rust types.
use prost::Message as _;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo:rerun-if-changed=proto/onnx.proto");
    let descriptors = protox::compile(["onnx.proto"], ["proto"])?;
    let out = std::path::PathBuf::from(std::env::var("OUT_DIR")?);
    let set = out.join("onnx.descriptors");
    let bytes = descriptors.encode_to_vec();
    // buffa asks for another run when this file is newer, and a file written anew in a linked copy of the folder would be.
    if std::fs::read(&set).ok().as_deref() != Some(&bytes) {
        std::fs::write(&set, bytes)?;
    }
    buffa_build::Config::new()
        .files(&["onnx.proto"])
        .descriptor_set(&set)
        .generate_views(false)
        .use_bytes_type()
        .preserve_unknown_fields(true)
        .compile()
}
