//! Tells the version of rustls, which it does not tell itself, from Cargo.lock.

fn main() {
    println!("cargo::rerun-if-changed=../Cargo.lock");
    let lock = std::fs::read_to_string("../Cargo.lock").expect("the workspace has a Cargo.lock");
    let (_, rest) = lock.split_once("name = \"rustls\"\nversion = \"").expect("rustls is in it");
    let (version, _) = rest.split_once('"').expect("a version ends");
    println!("cargo::rustc-env=RUSTLS_VERSION={version}");
}
