//! Writes the generated files of `signaling` into `config/`. A test fails when they are stale.

use std::path::Path;

fn main() -> std::io::Result<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../config");
    for (name, content) in signaling::program::generated_files() {
        std::fs::write(folder.join(name), content)?;
    }
    Ok(())
}
