//! Writes the generated files into `config/`. A test fails when they are stale.

use std::path::Path;

fn main() -> std::io::Result<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../config");
    for (name, content) in turn_config::generated_files() {
        let file = folder.join(name);
        std::fs::create_dir_all(file.parent().unwrap_or(&folder))?;
        std::fs::write(file, content)?;
    }
    Ok(())
}
