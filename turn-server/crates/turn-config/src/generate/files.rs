//! The files of `config/` that are made from the registry of `turnserver`.

use crate::options::TURNSERVER;

const SAMPLE_HEAD: &str = "\
Configuration of turnserver: every option that works, each commented out.
Keys, values and rules are those of coturn's turnserver.conf.

Made from the registry of options; do not edit it, copy it. To make it anew:
cargo run -p turn-config --example generate

The smallest files that work are minimal-secret.conf, static-users.conf, behind-nat.conf, docker-small-range.conf and \
docker-one-port.conf beside this one; options.md lists every option, also those that do nothing here.";

/// The generated files: name in `config/`, and content.
pub fn generated_files() -> [(&'static str, String); 6] {
    [
        (
            "turnserver.conf.sample",
            TURNSERVER.sample_file(SAMPLE_HEAD),
        ),
        ("options.md", TURNSERVER.option_reference()),
        ("turnserver.8", TURNSERVER.manual()),
        ("completions/turnserver.bash", TURNSERVER.bash_completion()),
        ("completions/_turnserver", TURNSERVER.zsh_completion()),
        ("completions/turnserver.fish", TURNSERVER.fish_completion()),
    ]
}
