//! See the package's description in Cargo.toml.
