//! Compiles the wire format: protox parses the description, buffa generates the Rust types.
use prost::Message as _;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo:rerun-if-changed=proto/onnx.proto");
    let descriptors = protox::compile(["onnx.proto"], ["proto"])?;
    let out = std::path::PathBuf::from(std::env::var("OUT_DIR")?);
    let set = out.join("onnx.descriptors");
    std::fs::write(&set, descriptors.encode_to_vec())?;
    // buffa asks for another run whenever this file is newer than the last one, which has just written it: everything would be built
    // anew each time.
    std::fs::File::options().write(true).open(&set)?.set_modified(std::time::SystemTime::UNIX_EPOCH)?;
    buffa_build::Config::new()
        .files(&["onnx.proto"])
        .descriptor_set(&set)
        .generate_views(false)
        .use_bytes_type()
        .preserve_unknown_fields(true)
        .compile()
}
