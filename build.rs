//! Embeds the manifests: every folder of `connectors/` with a `manifest.toml` is a connector of the
//! program, without a line of Rust.

use std::fmt::Write as _;
use std::path::Path;
use std::{env, fs, io};

fn main() -> io::Result<()> {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=connectors");
    let root = env::var("CARGO_MANIFEST_DIR").map_err(io::Error::other)?;
    let out = env::var("OUT_DIR").map_err(io::Error::other)?;
    let mut folders: Vec<_> = fs::read_dir(Path::new(&root).join("connectors"))?
        .collect::<io::Result<Vec<_>>>()?
        .into_iter()
        .map(|folder| folder.path())
        .filter(|folder| folder.join("manifest.toml").is_file())
        .collect();
    folders.sort();
    let mut code = String::from("&[\n");
    for folder in folders {
        let name = folder
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let file = folder.join("manifest.toml");
        println!("cargo::rerun-if-changed={}", file.display());
        let quoted = format!("{:?}", file.to_string_lossy());
        let _ = writeln!(code, "    ({name:?}, include_str!({quoted})),");
    }
    code.push_str("]\n");
    fs::write(Path::new(&out).join("connectors.rs"), code)
}
